"""Where a build's time goes, by the stamps of its log (upstream's and ours)."""

import datetime
import re

STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) \| (.*)")
# What begins a stage, in both logs; nothing but hooks tells when it ends. What comes
# before the first is `start`, what comes between hooks is `engine` (and the archive,
# which nobody announces); the last one goes on to the end of the process.
BEGINS = (
    (re.compile(r"Running hooks from /\S*/([a-z-]+)\.d$"), None),
    (re.compile(r"dib-run-parts Running /\S*/([a-z-]+)\.d/[^/]+$"), None),
    (re.compile(r"dib-run-parts -+ END PROFILING"), "engine"),
    (re.compile(r"Calculating image size"), "disk"),
    (re.compile(r"Converting image using qemu-img convert"), "convert"),
    (re.compile(r"Image file \S+ created"), "end"),
)
TREE = re.compile(r"safedib-tree: made in (\d+\.\d+) s")


def stamped(log):
    """The lines that have a stamp: seconds since 1970, and the text."""
    for line in log.splitlines():
        match = STAMP.match(line)
        if match:
            when = datetime.datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S.%f")
            yield when.replace(tzinfo=datetime.timezone.utc).timestamp(), match[2]


def begun(text):
    """The name of the stage that a line begins."""
    for pattern, name in BEGINS:
        match = pattern.match(text)
        if match:
            return name or match[1]
    return None


def stages(log, began, seconds):
    """Seconds by stage, in the order of their beginnings; they sum up to `seconds`."""
    marks = [("start", began)]
    for when, text in stamped(log):
        name = begun(text)
        if name and name != marks[-1][0]:
            marks.append((name, min(when, began + seconds)))
    marks.append(("", began + seconds))
    found = {}
    for (name, start), (_, end) in zip(marks, marks[1:]):
        found[name] = found.get(name, 0.0) + max(0.0, end - start)
    return found


def tree_seconds(log):
    """What the element safedib-tree says that its tree took; None without it."""
    match = TREE.search(log)
    return float(match[1]) if match else None
