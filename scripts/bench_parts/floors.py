"""What a build cannot be faster than with the tools that it calls: the same packages
through mmdebstrap alone, the same disk through qemu-img alone."""

import os
import re
import subprocess

from .measure import Command
from .place import SYSTEM

STANZA = re.compile(r"^Package: (\S+)\n(?:.*\n)*?Status: \S+ \S+ installed$", re.MULTILINE)


def packages(status):
    """The names of the installed packages in dpkg's status file."""
    return [
        match[1] for stanza in status.split("\n\n") for match in [STANZA.match(stanza)] if match
    ]


def keep(place, job):
    """Takes the disk and the list of packages from what a job has just built."""
    kept = place.path(f"kept-{job.name}")
    os.makedirs(kept, exist_ok=True)
    disk = os.path.join(kept, "disk.raw")
    image = place.path("build-0/image.qcow2")
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, disk], check=True)
    done = subprocess.run(
        ["debugfs", "-R", "cat /var/lib/dpkg/status", disk],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
        env={"PATH": SYSTEM}, text=True,
    )
    with open(os.path.join(kept, "packages"), "w", encoding="utf-8") as file:
        file.write("\n".join(packages(done.stdout)))


def sources(mirror):
    """The archives that the elements name by default, as lines of sources.list."""
    archive, release = mirror["DIB_DISTRIBUTION_MIRROR"], mirror["DIB_RELEASE"]
    lines = [f"deb {archive} {release} main", f"deb {archive} {release}-updates main"]
    if "DIB_DEBIAN_SECURITY_MIRROR" in mirror:
        lines.append(f"deb {mirror['DIB_DEBIAN_SECURITY_MIRROR']} {release}-security main")
    return lines


def tmpfs(place):
    """A directory in memory for mmdebstrap, as builds of both sides have one."""
    directory = place.path("build-memory")
    os.makedirs(directory)
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", directory], check=True)
    return directory


def command(place, job, mmdebstrap):
    """The command of a floor; None where what it needs is not there."""
    kind, name = job.words
    kept = place.path(f"kept-{name}")
    environment = {"PATH": SYSTEM, "LANG": "C.UTF-8", "HOME": "/"}
    if not os.path.exists(os.path.join(kept, "packages")):
        return None
    if kind == "convert":
        words = ["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2",
                 os.path.join(kept, "disk.raw"), "image.qcow2"]
    else:
        with open(os.path.join(kept, "packages"), encoding="utf-8") as file:
            names = file.read().split()
        if not names or mmdebstrap is None:
            return None
        environment["TMPDIR"] = tmpfs(place)
        words = [mmdebstrap, "--variant=apt", "--include=" + ",".join(names),
                 place.mirror["DIB_RELEASE"], "tree.tar", *sources(place.mirror)]
    directory = place.directory("build-0", job.side)
    return Command(words, directory, environment, place.path("log-0"))
