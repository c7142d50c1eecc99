"""The directories, users, environments and commands of a benchmark."""

import json
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile

from .cases import Job, OURS, UPSTREAM
from .measure import Command, read

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FIXTURE = "upstream-fixtures/cache/diskimage-builder-3.43.0/diskimage_builder/elements"
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
LATE = """#!/bin/bash
set -eu
echo "{stamp}" >/etc/bench-late
"""


def output(*words):
    """What a command prints, without the last newline."""
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True, cwd=REPO)
    return done.stdout.rstrip("\n")


def script(name, *arguments):
    """What a script of this repository prints."""
    return output(os.path.join(REPO, "scripts", name), *arguments)


def mirror():
    """The variables that name the archive, as scripts/debian-mirror finds it."""
    found = {}
    for line in script("debian-mirror").splitlines():
        for word in shlex.split(line)[1:]:
            name, _, value = word.partition("=")
            found[name] = value
    return found


class Place:
    """A work directory with all that builds of both sides need."""

    def __init__(self, binary, upstream):
        self.work = tempfile.mkdtemp(prefix="safedib-bench-", dir="/var/tmp")
        try:
            self.fill(binary, upstream)
        except BaseException:
            self.clear()
            raise

    def fill(self, binary, upstream):
        """Makes the directories, and links our commands."""
        os.chmod(self.work, 0o755)
        self.user = None
        if os.geteuid() == 0:
            self.user = pwd.getpwnam(os.environ.get("SAFEDIB_TEST_USER", "safedib-test"))
        # A copy: what is measured stays the same if somebody builds meanwhile.
        self.binary = shutil.copy(binary or script("build"), self.path("safedib"))
        os.chmod(self.binary, 0o755)
        os.mkdir(self.path("bin"))
        os.symlink(self.binary, self.path("bin/disk-image-create"))
        self.elements = self.readable(os.path.join(REPO, FIXTURE))
        self.own = self.readable(os.path.join(REPO, "upstream-fixtures/elements"))
        self.mirror = mirror()
        self.venv = script("install-upstream") if upstream else None
        for side in (OURS, UPSTREAM):
            for name in ("cache", "tmp"):
                self.directory(f"{name}-{side}", side)
        self.change_late("0")

    def path(self, *names):
        """A path below the work directory."""
        return os.path.join(self.work, *names)

    def directory(self, name, side):
        """Makes a directory that belongs to who builds on this side."""
        os.makedirs(self.path(name))
        if side == OURS and self.user:
            os.chown(self.path(name), self.user.pw_uid, self.user.pw_gid)
        return self.path(name)

    def readable(self, path):
        """The path, or that of a copy if the user cannot read it."""
        tried = subprocess.run(
            [os.path.join(REPO, "scripts/as-user"), "test", "-r", path], check=False
        )
        if not tried.returncode:
            return path
        copy = self.path("copy-of-" + path.strip("/").replace("/", "-"))
        shutil.copytree(path, copy, symlinks=True)
        return copy

    def change_late(self, stamp):
        """Writes the hook of the element bench-late."""
        hook = self.path("elements/bench-late/install.d/99-bench-late")
        os.makedirs(os.path.dirname(hook), exist_ok=True)
        with open(hook, "w", encoding="utf-8") as file:
            file.write(LATE.format(stamp=stamp))
        os.chmod(hook, 0o755)

    def environment(self, side):
        """What a build finds set; the same for both, but for the paths."""
        found = {
            "LANG": "C.UTF-8",
            "ELEMENTS_PATH": f"{self.own}:{self.path('elements')}",
            "DIB_IMAGE_CACHE": self.path(f"cache-{side}"),
            "TMPDIR": self.path(f"tmp-{side}"),
            **self.mirror,
            **{name: os.environ[name] for name in PROXIES if name in os.environ},
        }
        user = self.user if side == OURS and self.user else pwd.getpwuid(os.geteuid())
        found.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
        if side == OURS:
            # An ordinary user's.
            return {**found, "PATH": "/usr/local/bin:/usr/bin:/bin",
                    "DIB_ELEMENTS_DIR": self.elements}
        return {**found, "PATH": f"{self.venv}/bin:{SYSTEM}"}

    def commands(self, job: Job, extra=None):
        """The commands of a job; their directories are new."""
        made = []
        for number in range(job.at_once):
            directory = self.directory(f"build-{number}", job.side)
            made.append(Command(
                self.words(job), directory, {**self.environment(job.side), **(extra or {})},
                self.path(f"log-{number}"), self.user if job.side == OURS else None,
            ))
        return made

    def words(self, job):
        """The command line of a build."""
        if job.side == OURS:
            words = [self.path("bin/disk-image-create")]
        else:
            words = ["disk-image-create"]
        if job.cache:
            if not os.path.exists(self.path(job.cache)):
                self.directory(job.cache, OURS)
            words.append(f"--cache={self.path(job.cache)}")
        return [*words, "-o", "image", *job.words]

    def help_text(self):
        """What our disk-image-create says of itself."""
        return output(self.path("bin/disk-image-create"), "--help")

    def drop_builds(self):
        """Removes what was built, and what upstream has left."""
        self.unmount()
        for name in os.listdir(self.work):
            if name.startswith("build-"):
                shutil.rmtree(self.path(name))

    def unmount(self):
        """Takes loop devices and mounts away; while they are mounted, files have paths."""
        points = [line.split()[1] for line in read("/proc/self/mounts").splitlines()]
        points = [point for point in reversed(points) if point.startswith(self.work + "/")]
        if os.geteuid() == 0:
            for device in self.loops():
                subprocess.run(["losetup", "--detach", device], check=False)
        for point in points:
            subprocess.run(["umount", "--lazy", point], check=False)

    def loops(self):
        """Loop devices over files below the work directory."""
        listed = json.loads(output("losetup", "--list", "--json") or "{}")
        return [
            device["name"] for device in listed.get("loopdevices", [])
            if (device["back-file"] or "").startswith(self.work + "/")
        ]

    def clear(self):
        """Removes everything."""
        self.unmount()
        shutil.rmtree(self.work)
