"""Runs commands and measures what they take: time, processor, memory, writes."""

import ctypes
import dataclasses
import os
import select
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36
# Between two looks at the memory of our processes, in seconds.
SAMPLE = 0.01
# For what a build leaves behind (a janitor, a network helper) to end, in seconds.
PATIENCE = 30


class BuildFailed(Exception):
    """A command that is measured has failed; the text has the end of its log."""


@dataclasses.dataclass
class Command:
    """A command to run, as a user (None: the caller), its output in a log."""

    words: list
    directory: str
    environment: dict
    log: str
    user: object = None


@dataclasses.dataclass
class Figures:
    """What one run took; None is what could not be found out, or was not looked for."""

    seconds: float
    cpu: object = None
    # What came to the block device of the work directory, up to the last byte.
    device_bytes: object = None
    # The most that our processes have together (Pss), and the most of a single one.
    memory: object = None
    largest: object = None
    # Processors that were busy with what is not of the run, kernel threads that write for it included.
    others: object = None
    # Of the first command: when it began (seconds since 1970) and what it printed.
    began: float = 0.0
    log: str = ""


def busy():
    """Processor time of the whole machine since its boot, what others took of it included."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, read("/proc/stat").split("\n", maxsplit=1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def adopt_orphans():
    """Has orphans of builds become our children, so that their ends are seen."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot adopt the orphans of builds")


def read(path):
    """A file of /proc or /sys; empty if it is gone, or not ours to read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def fields(text):
    """`name: number ...` lines as a dictionary."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = int(words[0])
    return found


def device_writes(directory):
    """Bytes that the block device below a directory has taken since it exists, after
    everything for its filesystem is stored; None where no device is known."""
    number = os.stat(directory).st_dev
    words = read(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat").split()
    if len(words) < 7:
        return None
    subprocess.run(["sync", "--file-system", directory], check=True)
    words = read(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat").split()
    return int(words[6]) * 512


class Group:
    """A cgroup for a run. What ends with a pid namespace is never waited for, so its
    processor time is in no parent's account; in that of a cgroup it is.

    Without a cgroup that we may make, nothing is known.
    """

    def __init__(self):
        self.path = None
        top = [line.split()[1] for line in read("/proc/self/mounts").splitlines()
               if line.split()[2] == "cgroup2"]
        lines = read("/proc/self/cgroup").splitlines()
        own = [line[3:] for line in lines if line.startswith("0::")]
        if not top or not own:
            return
        self.home = os.path.join(top[0], own[0].strip("/"))
        path = os.path.join(self.home, f"safedib-bench-{os.getpid()}")
        try:
            os.mkdir(path)
        except OSError:
            return
        self.path = path

    def __enter__(self):
        self.enter(self.path)
        return self

    def __exit__(self, *_):
        self.leave()

    def enter(self, path):
        """Moves this process to a cgroup: what it starts begins there."""
        if self.path:
            with open(os.path.join(path, "cgroup.procs"), "w", encoding="utf-8") as file:
                file.write("0")

    def leave(self):
        """Back to where it was."""
        self.enter(self.home if self.path else None)

    def close(self):
        """Waits for the last process, removes the cgroup; the seconds that it took."""
        if not self.path:
            return None
        end = time.monotonic() + PATIENCE
        while read(os.path.join(self.path, "cgroup.procs")) and time.monotonic() < end:
            time.sleep(0.005)
        used = read(os.path.join(self.path, "cpu.stat")).split()
        try:
            os.rmdir(self.path)
        except OSError as error:
            raise BuildFailed(f"{self.path}: processes of the build do not end") from error
        return int(used[used.index("usage_usec") + 1]) / 1e6


def children(process):
    """The processes that the threads of one have started."""
    try:
        threads = os.listdir(f"/proc/{process}/task")
    except OSError:
        return []
    lists = [read(f"/proc/{process}/task/{thread}/children") for thread in threads]
    return [int(word) for text in lists for word in text.split()]


def descendants(process):
    """All processes below one."""
    found, left = [], [process]
    while left:
        below = children(left.pop())
        found += below
        left += below
    return found


class Memory:
    """The peak memory of the processes of one binary."""

    def __init__(self, binary):
        self.binary = os.stat(binary)
        self.sum = self.largest = None

    def is_ours(self, process):
        """By the file: inside a sandbox the binary has another path."""
        try:
            return os.path.samestat(os.stat(f"/proc/{process}/exe"), self.binary)
        except OSError:
            return False

    def look(self):
        """Takes note of what they have now."""
        ours = [process for process in descendants(os.getpid()) if self.is_ours(process)]
        parts = [fields(read(f"/proc/{process}/smaps_rollup")).get("Pss", 0) for process in ours]
        peaks = [fields(read(f"/proc/{process}/status")).get("VmHWM", 0) for process in ours]
        if any(parts):
            self.sum = max(self.sum or 0, sum(parts) << 10)
            self.largest = max(self.largest or 0, max(peaks) << 10)


def start(command):
    """Starts a command; its user has all groups that a login would give."""
    switch = {}
    if command.user is not None:
        name, group = command.user.pw_name, command.user.pw_gid
        switch = {"user": name, "group": group, "extra_groups": os.getgrouplist(name, group)}
    with open(command.log, "wb") as log:
        return subprocess.Popen(  # pylint: disable=consider-using-with
            command.words, cwd=command.directory, env=command.environment,
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, **switch,
        )


def wait(processes, memory):
    """Waits for all processes. A pidfd tells the moment; polling would be late."""
    left = {os.pidfd_open(process.pid): process for process in processes}
    try:
        while left:
            ready, _, _ = select.select(list(left), [], [], SAMPLE if memory else None)
            for descriptor in ready:
                os.close(descriptor)
                left.pop(descriptor).wait()
            if memory:
                memory.look()
    finally:
        for descriptor in left:
            os.close(descriptor)


def reap():
    """Waits for what commands have left running; ends what does not end."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            reaped, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if reaped:
            continue
        if time.monotonic() > end:
            for process in descendants(os.getpid()):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.005)


def tail(path, lines=30):
    """The last lines of a log."""
    return "\n".join(read(path).splitlines()[-lines:])


def measure(commands, work, binary=None):
    """Runs commands at the same time; the figures of all together.

    Looks at memory only with a binary: looking takes time of the build's.
    """
    memory = Memory(binary) if binary else None
    device = device_writes(work)
    group, processes = Group(), []
    figures = Figures(0.0, began=time.time())
    begin, before = time.monotonic(), busy()
    try:
        with group:
            processes = [start(command) for command in commands]
        wait(processes, memory)
        figures.seconds = time.monotonic() - begin
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        reap()
        figures.cpu = group.close()
    if figures.cpu is not None:
        taken = busy() - before - figures.cpu
        figures.others = max(0.0, taken) / (time.monotonic() - begin)
    figures.log = read(commands[0].log)
    if device is not None:
        figures.device_bytes = device_writes(work) - device
    if memory:
        figures.memory, figures.largest = memory.sum, memory.largest
    for command, process in zip(commands, processes):
        if process.returncode:
            raise BuildFailed(
                f"{' '.join(command.words)}: status {process.returncode}\n{tail(command.log)}"
            )
    return figures
