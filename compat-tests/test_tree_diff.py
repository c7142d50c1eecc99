"""Tests of tree_diff.py, with archives from Python and from GNU tar."""

import contextlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree_diff  # noqa: E402  (the path has to be set first)


class TreeDiffTest(unittest.TestCase):
    """Each test works in a directory of its own."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = holder.name

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        return path

    def tar(self, name, members):
        """An archive of (member name, changes to its header, content)."""
        path = self.path(name)
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            for member, changes, content in members:
                info = tarfile.TarInfo(member)
                info.size = len(content)
                for key, value in changes.items():
                    setattr(info, key, value)
                archive.addfile(info, io.BytesIO(content))
        return path

    def run_tool(self, *argv):
        """Exit status, output lines, error text."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = tree_diff.main(list(argv))
        return status, out.getvalue().splitlines(), err.getvalue()

    def test_equal_trees_differ_in_nothing_however_names_are_written(self):
        left = self.tar("l.tar", [("./", {"type": tarfile.DIRTYPE}, b""), ("./a", {}, b"x")])
        right = self.tar("r.tar", [("a", {"mtime": 9, "uname": "u"}, b"x"),
                                   (".", {"type": tarfile.DIRTYPE}, b"")])
        self.assertEqual(self.run_tool("--content", left, right)[:2], (0, []))

    def test_every_field_is_compared(self):
        link = {"type": tarfile.SYMTYPE, "linkname": "one"}
        char = {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}
        xattr = {"pax_headers": {"SCHILY.xattr.user.a": "1"}}
        cases = [
            ({"mode": 0o644}, b"", {"mode": 0o4644}, b"", ["f\tmode\t0644\t4644"]),
            ({"uid": 1}, b"", {"uid": 2}, b"", ["f\tuid\t1\t2"]),
            ({"gid": 1}, b"", {"gid": 2}, b"", ["f\tgid\t1\t2"]),
            ({}, b"ab", {}, b"abc", ["f\tsize\t2\t3"]),
            (link, b"", {**link, "linkname": "two"}, b"", ["f\tlink\tone\ttwo"]),
            (char, b"", {**char, "devminor": 5}, b"", ["f\tdevice\t1:3\t1:5"]),
            ({}, b"", link, b"", ["f\ttype\tfile\tsymlink"]),
            (xattr, b"", {}, b"", ["f\txattr:user.a\t1\t-"]),
        ]
        for left, left_data, right, right_data, expected in cases:
            with self.subTest(expected=expected):
                one = self.tar("l.tar", [("f", left, left_data)])
                two = self.tar("r.tar", [("f", right, right_data)])
                self.assertEqual(self.run_tool(one, two)[:2], (1, expected))

    def test_missing_and_extra_paths(self):
        left = self.tar("l.tar", [("a", {}, b""), ("b", {}, b"")])
        right = self.tar("r.tar", [("b", {}, b""), ("c", {"type": tarfile.DIRTYPE}, b"")])
        self.assertEqual(
            self.run_tool(left, right)[:2],
            (1, ["a\tmissing\tfile\t-", "c\textra\t-\tdirectory"]),
        )

    def test_content_is_compared_on_request_only(self):
        left = self.tar("l.tar", [("a", {}, b"x")])
        right = self.tar("r.tar", [("a", {}, b"y")])
        self.assertEqual(self.run_tool(left, right)[0], 0)
        status, lines, _ = self.run_tool("--content", left, right)
        self.assertEqual((status, lines[0].split("\t")[:2]), (1, ["a", "content"]))

    def test_hard_links_are_one_file_in_any_order(self):
        def link(target):
            return {"type": tarfile.LNKTYPE, "linkname": target}

        left = self.tar("l.tar", [("a", {}, b"x"), ("b", link("a"), b""), ("c", link("./b"), b"")])
        right = self.tar("r.tar", [("c", {}, b"x"), ("a", link("c"), b""), ("b", link("c"), b"")])
        self.assertEqual(self.run_tool("--content", left, right)[:2], (0, []))
        split = self.tar("s.tar", [("a", {}, b"x"), ("b", link("a"), b""), ("c", {}, b"x")])
        self.assertEqual(
            self.run_tool(left, split)[1],
            ["a\thardlinks\ta b c\ta b", "b\thardlinks\ta b c\ta b", "c\thardlinks\ta b c\t-"],
        )

    def test_a_hard_link_to_nothing_is_a_problem(self):
        bad = self.tar("l.tar", [("b", {"type": tarfile.LNKTYPE, "linkname": "a"}, b"")])
        with self.assertRaises(tree_diff.Problem):
            tree_diff.read_tar(bad)

    def test_odd_names_stay_on_one_line(self):
        name = os.fsdecode(b"new\nline\ttab\\ \xff \xc3\xa9")
        left = self.tar("l.tar", [(name, {}, b"")])
        right = self.tar("r.tar", [])
        self.assertEqual(
            self.run_tool(left, right)[1],
            ["new\\x0aline\\x09tab\\x5c \\xff \u00e9\tmissing\tfile\t-"],
        )

    def test_rules_cover_differences_and_stale_ones_are_reported(self):
        left = self.tar("l.tar", [("dev/x/y", {}, b""), ("lib/a-1", {}, b"1"), ("lib/d/b", {}, b"1")])
        right = self.tar("r.tar", [("lib/a-1", {}, b"22"), ("lib/d/b", {}, b"22")])
        explain = self.write(
            "explain", "# comment\n\ndev/**\t*\tthe host's\nlib/?-*\tmode\tno\nlib/*\tsize\tknown\n"
        )
        status, lines, err = self.run_tool("--explain", explain, "--verbose", left, right)
        self.assertEqual((status, lines), (1, ["lib/d/b\tsize\t1\t2"]))
        self.assertIn("stale: %s:4: lib/?-*" % explain, err)
        self.assertNotIn("%s:5" % explain, err)
        self.assertIn("explained\tdev/x/y\tmissing\tfile\t-\tthe host's", err)
        self.assertIn("3 differences: 0 in the baseline, 2 explained, 1 left over", err)

    def test_output_is_a_baseline(self):
        left = self.tar("l.tar", [("a", {"mode": 0o600}, b""), ("gone", {}, b"")])
        right = self.tar("r.tar", [("a", {"mode": 0o644}, b"")])
        lines = self.run_tool(left, right)[1]
        baseline = self.write("baseline", "\n".join(lines) + "\n")
        status, rest, err = self.run_tool("--baseline", baseline, left, right)
        self.assertEqual((status, rest), (0, []))
        self.assertIn("2 in the baseline", err)

    def test_a_rule_without_a_reason_is_a_problem(self):
        for line in ("dev/**\t*\n", "dev/** *  spaces\n", "a\t*\t \n"):
            with self.assertRaises(tree_diff.Problem):
                tree_diff.read_rules(self.write("rules", line))

    def test_gnu_tar_and_the_directory_itself_are_equal(self):
        self.write("tree/d/file", "content")
        self.write("tree/d/sparse", "")
        os.truncate(self.path("tree/d/sparse"), 1 << 20)
        os.link(self.path("tree/d/file"), self.path("tree/z"))
        os.symlink("nowhere", self.path("tree/link"))
        os.mkfifo(self.path("tree/fifo"))
        os.chmod(self.path("tree/d"), 0o2775)
        try:
            os.setxattr(self.path("tree/d/file"), "user.test", b"\x00\xff\n")
        except OSError:
            if os.environ.get("CI") == "true":
                raise
            self.skipTest("no user.* xattrs on the filesystem of the temporary directory")
        subprocess.run(
            ["tar", "-C", self.path("tree"), "-Scf", self.path("t.tar"),
             "--xattrs", "--xattrs-include=*", "."],
            check=True,
        )
        status, lines, _ = self.run_tool("--content", self.path("t.tar"), self.path("tree"))
        self.assertEqual((status, lines), (0, []))
        os.setxattr(self.path("tree/d/file"), "user.test", b"other")
        lines = self.run_tool(self.path("t.tar"), self.path("tree"))[1]
        self.assertEqual(
            lines,
            [name + "\txattr:user.test\t\\x00\\xff\\x0a\tother" for name in ("d/file", "z")],
        )

    def test_the_program_exits_2_for_bad_input(self):
        tool = os.path.join(os.path.dirname(os.path.abspath(tree_diff.__file__)), "tree_diff.py")
        done = subprocess.run(
            [sys.executable, tool, self.path("none.tar"), self.path("none.tar")],
            stderr=subprocess.PIPE, text=True, check=False,
        )
        self.assertEqual(done.returncode, 2)
        self.assertIn("none.tar", done.stderr)


if __name__ == "__main__":
    unittest.main()
