"""Tests of scripts/debian-mirror and scripts/as-user."""

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


if __name__ == "__main__":
    unittest.main()
