"""Tests of scripts/debian-mirror, scripts/as-user and scripts/run-tests."""

import json
import os
import subprocess
import tempfile
import unittest

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scripts")
BARE = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm
  bookworm-updates
Components: main contrib

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main
"""

ONE_LINE = """\
deb-src http://source.example/debian bookworm main
# deb http://comment.example/debian bookworm main
deb [arch=amd64 signed-by=/k] http://mirror.example/debian bookworm main contrib # why
deb http://mirror.example/debian bookworm-updates main
deb http://security.example/debian-security bookworm-security main
"""

FOUND = {
    "DIB_DISTRIBUTION_MIRROR": "http://mirror.example/debian",
    "DIB_DEBIAN_SECURITY_MIRROR": "http://security.example/debian-security",
    "DIB_RELEASE": "bookworm",
}


class DebianMirrorTest(unittest.TestCase):
    """The script reads a made-up root."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = holder.name
        self.write("etc/os-release", 'ID=debian\nVERSION_CODENAME="bookworm"\n')

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)

    def mirror(self, **variables):
        """Exit status, and the variables that evaluating the output sets."""
        script = 'out=$("$1" "$2") || exit; eval "$out"; env'
        done = subprocess.run(
            ["bash", "-c", script, "-", os.path.join(SCRIPTS, "debian-mirror"), self.root],
            env={**BARE, **variables}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, check=False,
        )
        pairs = (line.partition("=") for line in done.stdout.splitlines())
        return done.returncode, {k: v for k, _, v in pairs if k.startswith("DIB_")}

    def test_deb822(self):
        self.write("etc/apt/sources.list.d/debian.sources", DEB822)
        self.assertEqual(self.mirror(), (0, FOUND))

    def test_one_line(self):
        self.write("etc/apt/sources.list", ONE_LINE)
        self.assertEqual(self.mirror(), (0, FOUND))

    def test_disabled_sources_do_not_count(self):
        off = DEB822.replace("Suites:", "Enabled: no\nSuites:").replace("example", "off")
        self.write("etc/apt/sources.list.d/a.sources", off)
        self.write("etc/apt/sources.list.d/b.sources.disabled", DEB822)
        self.write("etc/apt/sources.list.d/c.list.save", ONE_LINE)
        self.assertEqual(self.mirror(), (1, {}))
        self.write("etc/apt/sources.list.d/d.list", ONE_LINE)
        self.assertEqual(self.mirror(), (0, FOUND))

    def test_the_own_release_wins_over_other_repositories(self):
        self.write("etc/apt/sources.list.d/a.list", "deb http://other.example/x nodistro main\n"
                   "deb http://other.example/y bookworm stable\n")
        self.write("etc/apt/sources.list.d/b.sources", DEB822)
        self.assertEqual(self.mirror(), (0, FOUND))

    def test_mirror_lists_of_cloud_images(self):
        self.write("etc/apt/mirrors/debian.list", "# first\nhttp://mirror.example/debian\n")
        self.write("etc/apt/sources.list.d/debian.sources",
                   DEB822.replace("http://mirror.example/debian/",
                                  "mirror+file:/etc/apt/mirrors/debian.list"))
        self.assertEqual(self.mirror(), (0, FOUND))

    def test_what_the_caller_set_stays(self):
        self.write("etc/apt/sources.list", ONE_LINE)
        status, found = self.mirror(DIB_RELEASE="trixie")
        self.assertEqual((status, found["DIB_RELEASE"]), (0, "trixie"))

    def test_no_security_mirror_is_no_error(self):
        self.write("etc/apt/sources.list", "deb http://mirror.example/debian bookworm main\n")
        status, found = self.mirror()
        self.assertEqual(status, 0)
        self.assertNotIn("DIB_DEBIAN_SECURITY_MIRROR", found)


class AsUserTest(unittest.TestCase):
    """The script runs for real; scripts/setup has made the user."""

    def run_as_user(self, *command, **variables):
        return subprocess.run(
            [os.path.join(SCRIPTS, "as-user"), *command], env={**os.environ, **variables},
            cwd="/", stdout=subprocess.PIPE, text=True, check=False,
        )

    def test_it_is_no_root_and_sees_a_clean_environment(self):
        done = self.run_as_user("sh", "-c", "id -u; env", SECRET="x", DIB_RELEASE="a b")
        lines = done.stdout.splitlines()
        self.assertNotEqual(lines[0], "0")
        self.assertIn("DIB_RELEASE=a b", lines)
        self.assertFalse([line for line in lines if line.startswith("SECRET")])

    def test_the_exit_status_is_the_commands(self):
        self.assertEqual(self.run_as_user("sh", "-c", "exit 44").returncode, 44)


class RunTestsTest(unittest.TestCase):
    """With a cargo that has built shell scripts."""

    def run_tests(self, programs, cargos_end="true"):
        """The exit status and what was printed with programs of these texts."""
        with tempfile.TemporaryDirectory() as work:
            lines = ['{"reason": "compiler-artifact", "executable": null}']
            for name, text in programs.items():
                path = os.path.join(work, name)
                self.write(path, text)
                lines.append(json.dumps({
                    "executable": path, "profile": {"test": True}, "target": {"name": name},
                }))
            cargo = "cat <<'END'\n%s\nEND\n%s\n" % ("\n".join(lines), cargos_end)
            self.write(os.path.join(work, "cargo"), cargo)
            done = subprocess.run(
                [os.path.join(SCRIPTS, "run-tests"), "--locked"],
                env={**BARE, "PATH": work + ":" + BARE["PATH"]},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            )
        return done.returncode, done.stdout

    def write(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)

    def test_every_program_runs_and_each_failure_is_told(self):
        status, output = self.run_tests({
            "good": "echo from good", "bad": "echo from bad >&2; exit 3", "dead": "kill -9 $$",
        })
        self.assertEqual(status, 1)
        for text in ("from good\n", "from bad\n", "bad: status 3 ", "dead: status -9 ",
                     "run-tests: failed: bad, dead\n"):
            self.assertIn(text, output)
        self.assertEqual([output.count("from good"), output.count("from bad")], [1, 2])
        self.assertEqual(self.run_tests({"good": "true"})[0], 0)

    def test_what_is_not_built_is_a_failure(self):
        self.assertEqual(self.run_tests({"good": "true"}, "exit 101")[0], 101)
        status, output = self.run_tests({})
        self.assertEqual(status, 1)
        self.assertIn("no test program", output)


if __name__ == "__main__":
    unittest.main()
