"""Tests of environment_diff.py, with records that are made up."""

import contextlib
import io
import os
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import environment_diff  # noqa: E402  (the path has to be set first)
import tree_diff  # noqa: E402


class EnvironmentDiffTest(unittest.TestCase):
    """Each test works in a directory of its own."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = holder.name

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        return path

    def build(self, side, paths="", leave_out=(), **records):
        """An archive with every record, empty but for those that are given."""
        self.write(os.path.join(side, "paths"), paths)
        archive = os.path.join(self.dir, side, "image.tar")
        with tarfile.open(archive, "w") as tar:
            for name in sorted(environment_diff.expected_records() - set(leave_out)):
                text = records.get(name.replace(".", "_").replace("-", "_"), b"")
                info = tarfile.TarInfo("./witness/" + name)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text))
        return archive

    def run_tool(self, left, right, explain=""):
        """Exit status, output lines, error text."""
        argv = [
            "--explain", self.write("explain", explain),
            "--deviations", self.write("deviations", "| upstream | we are another |\n"),
            "case/user=%s,%s" % (left, right),
        ]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = environment_diff.main(argv)
        return status, out.getvalue().splitlines(), err.getvalue()

    def test_what_is_random_or_the_builders_is_no_difference(self):
        left = self.build("l", "/up\t<lib>\n/up/more\t<more>\n",
                          root_d=b"env:A=/up/more/x:/up\0env:T=/tmp/dib_build.abcdefgh/mnt\0")
        right = self.build("r", "/ours\t<lib>\n/y\t<more>\n",
                           root_d=b"env:A=/y/x:/ours\0env:T=/tmp/dib_build.12345678/mnt\0")
        self.assertEqual(self.run_tool(left, right)[:2], (0, []))

    def test_a_directory_is_replaced_as_a_whole(self):
        left = self.build("l", "/up\t<lib>\n", root_d=b"env:A=/upper\0")
        right = self.build("r", "/ours\t<lib>\n", root_d=b"env:A=/ourser\0")
        lines = self.run_tool(left, right)[1]
        self.assertEqual(lines, ["case/user/root.d/env:A\t/upper\t/ourser"])

    def test_every_item_is_compared(self):
        left = self.build("l", install_d=b"env:A=1\0env:B=x\ny\0env:C=\0limit:n=1\0limit:n=2\0")
        right = self.build("r", install_d=b"env:A=2\0env:B=x y\0env:D=\0limit:n=2\0limit:n=1\0")
        status, lines, error = self.run_tool(left, right)
        self.assertEqual(status, 1)
        self.assertEqual(lines, [
            "case/user/install.d/env:A\t1\t2",
            "case/user/install.d/env:B\tx\\x0ay\tx y",
            "case/user/install.d/env:C\t\t-",
            "case/user/install.d/env:D\t-\t",
            "case/user/install.d/limit:n\t1; 2\t2; 1",
        ])
        self.assertIn("5 left over", error)

    def test_a_build_without_a_record_is_a_problem(self):
        left = self.build("l", leave_out=["post-root.d.python"])
        with self.assertRaisesRegex(tree_diff.Problem, "post-root.d.python"):
            self.run_tool(left, left)

    def test_explanations_are_of_values_and_stale_ones_are_reported(self):
        left = self.build("l", root_d=b"env:A=1\0", cleanup_d=b"env:A=1\0")
        right = self.build("r", root_d=b"env:A=2\0", cleanup_d=b"env:A=3\0")
        line = "case/*/*.d/env:A\t1\t2\twe are another\n"
        status, lines, _ = self.run_tool(left, right, line)
        self.assertEqual((status, lines), (1, ["case/user/cleanup.d/env:A\t1\t3"]))
        every = "case/*/*.d/env:A\t1\t*\twe are another\n"
        self.assertEqual(self.run_tool(left, right, every)[:2], (0, []))
        status, lines, error = self.run_tool(left, right, every + "**/env:B\t*\t*\twe are\n")
        self.assertEqual((status, lines), (0, []))
        self.assertIn("stale: **/env:B", error)

    def test_an_explanation_names_a_deviation(self):
        left = self.build("l")
        for line in ("**\t*\t*\tnobody says so\n", "**\t*\t*\n", "**\t*\t*\t \n"):
            with self.assertRaises(tree_diff.Problem):
                self.run_tool(left, left, line)


if __name__ == "__main__":
    unittest.main()
