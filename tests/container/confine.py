"""Executes a command under the constraints of a container, made of namespaces:
what Kubernetes and podman do to a process, without either.

usage: confine.py [OPTION...] -- COMMAND [ARGUMENT...]    (as root)

  --ids START       a user namespace with the 65536 ids from START on, in which
                    the command is root (Kubernetes: hostUsers: false)
  --user UID        the command's user and group
  --masked          what runtimes cover in /proc and /sys is covered
  --read-only       the root is read-only, and /tmp an empty tmpfs
  --volume DIR      a directory that stays writable; may be given again
  --caps NAMES      the capabilities that can be had at all, as setpriv names
                    them, with commas; empty: none
  --no-new-privs    no program gains privilege
  --no-namespaces   seccomp refuses new user namespaces, as the default profiles
                    of docker and containerd do
  --at-root         in the directory /
  --tun             /dev/net/tun stays; else it is not there, as in a pod
"""

import argparse
import ctypes
import os
import struct
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUSER, NEWPID = 0x20000, 0x10000000, 0x20000000
# What runc and crun cover, as far as it is there.
MASKED_FILES = ("kcore", "keys", "latency_stats", "timer_list", "sched_debug")
MASKED_TREES = ("/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware")
READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def fork_into(flags, maps):
    """Goes on in a child in new namespaces, with `maps` as its ids; the parent
    ends as the child does."""
    unshared, ours = os.pipe()
    mapped, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        call("unshare", flags)
        os.write(ours, b"x")
        os.read(mapped, 1)
        if not flags & NEWPID:
            return
        # The next child is the first process of the pid namespace.
        child = os.fork()
        if child == 0:
            return
        end_as(child)
    os.read(unshared, 1)
    if maps:
        for kind in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{kind}", "w", encoding="ascii") as file:
                file.write(maps)
    os.write(theirs, b"x")
    end_as(child)


def end_as(child):
    status = os.waitpid(child, 0)[1]
    os._exit(os.waitstatus_to_exitcode(status) % 256)


def cover():
    """Masks as runtimes do; a new user namespace cannot take them away."""
    for tree in MASKED_TREES:
        if os.path.isdir(tree):
            mount("-t", "tmpfs", "-o", "ro,size=0", "none", tree)
    for name in MASKED_FILES:
        if os.path.exists(f"/proc/{name}"):
            mount("--bind", "/dev/null", f"/proc/{name}")
    for name in READ_ONLY:
        if os.path.exists(f"/proc/{name}"):
            mount("--bind", f"/proc/{name}", f"/proc/{name}")
            mount("-o", "remount,bind,ro,nosuid,nodev,noexec", f"/proc/{name}")


def refuse_namespaces():
    """unshare and clone with CLONE_NEWUSER fail with EPERM, clone3 with ENOSYS."""
    def load(offset):
        return struct.pack("HBBI", 0x20, 0, 0, offset)

    def jump(code, value, if_true, if_false):
        return struct.pack("HBBI", code, if_true, if_false, value)

    def answer(value):
        return struct.pack("HBBI", 0x06, 0, 0, value)

    equal, any_bit = 0x15, 0x45
    allow, eperm, enosys = 0x7FFF0000, 0x50001, 0x50026
    program = b"".join([
        load(4), jump(equal, 0xC000003E, 1, 0), answer(allow),
        load(0), jump(equal, 435, 0, 1), answer(enosys),
        jump(equal, 272, 1, 0), jump(equal, 56, 0, 3),
        load(16), jump(any_bit, NEWUSER, 0, 1), answer(eperm),
        answer(allow),
    ])
    buffer = ctypes.create_string_buffer(program, len(program))
    filters = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    call("prctl", 22, 2, filters, 0, 0)


def read_only(volumes):
    """The root cannot be written to, but for the volumes."""
    for volume in volumes:
        mount("--bind", volume, volume)
    mount("-o", "remount,bind,ro", "/")
    mount("-t", "tmpfs", "none", "/tmp")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int)
    parser.add_argument("--user", type=int, default=0)
    parser.add_argument("--masked", action="store_true")
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--volume", action="append", default=[])
    parser.add_argument("--caps")
    parser.add_argument("--no-new-privs", action="store_true")
    parser.add_argument("--no-namespaces", action="store_true")
    parser.add_argument("--at-root", action="store_true")
    parser.add_argument("--tun", action="store_true")
    parser.add_argument("command", nargs="+")
    wanted = parser.parse_args()
    cwd = os.getcwd()
    maps = f"0 {wanted.ids} 65536\n" if wanted.ids is not None else None
    fork_into(NEWNS | NEWPID | (NEWUSER if maps else 0), maps)
    if maps:
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    # Nothing of this outlives the command.
    call("prctl", 1, 9, 0, 0, 0)
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", "/proc")
    # Runtimes leave no container a /sys to write to.
    mount("-o", "remount,bind,ro,nosuid,nodev,noexec", "/sys")
    if not wanted.tun and os.path.exists("/dev/net"):
        mount("-t", "tmpfs", "none", "/dev/net")
    if wanted.masked:
        cover()
    if wanted.read_only:
        read_only(wanted.volume)
    os.chdir("/" if wanted.at_root else cwd)
    words = ["setpriv", f"--reuid={wanted.user}", f"--regid={wanted.user}", "--clear-groups"]
    if wanted.caps is not None:
        kept = [f"+{name}" for name in wanted.caps.split(",") if name]
        words += ["--bounding-set=" + ",".join(["-all", *kept]), "--inh-caps=-all"]
    if wanted.no_new_privs:
        words.append("--no-new-privs")
    if wanted.no_namespaces:
        refuse_namespaces()
    os.execvp(words[0], [*words, "--", *wanted.command])


if __name__ == "__main__":
    main()
