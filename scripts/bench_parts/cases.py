"""What is built (jobs), and which of them are compared (cases)."""

import dataclasses

OURS, UPSTREAM, FLOOR = "ours", "upstream", "floor"


@dataclasses.dataclass(frozen=True)
class Job:
    """Something to run again and again. `words` are those of disk-image-create."""

    name: str
    side: str
    words: tuple = ()
    # The element whose install.d hook is written anew before each run, if any.
    late: bool = False
    # The directory of --cache, below the work directory.
    cache: str = ""
    at_once: int = 1
    # Gives what the floors start from: its image is kept, of the run that is not counted.
    kept: bool = False

    @property
    def key(self):
        """What the job is known by in results."""
        return f"{self.name}:{self.side}"


@dataclasses.dataclass(frozen=True)
class Case:
    """A ratio of two jobs, and what it may be."""

    name: str
    job: Job
    against: Job
    limit: float
    what: str
    floors: tuple = ()

    @property
    def option(self):
        """The option of ours without which there is no such case."""
        return "--cache" if self.job.cache else None

    @property
    def is_beside_upstream(self):
        """Whether the other side is upstream."""
        return self.against.side == UPSTREAM


def both(name, *words, kept=False):
    """The same job for either side."""
    return Job(name, OURS, words, kept=kept), Job(name, UPSTREAM, words)


# Without --image-size upstream's ext4 journal does not fit.
ONE_FILE = ("-n", "--image-size", "1", "safedib-tree")
TAR, TAR_UPSTREAM = both("one-file-tar", "-t", "tar", *ONE_FILE)
QCOW2, QCOW2_UPSTREAM = both("one-file-qcow2", "-t", "qcow2", *ONE_FILE, kept=True)
DEBIAN, DEBIAN_UPSTREAM = both("debian-qcow2", "-t", "qcow2", "debian-minimal", kept=True)
TWO, TWO_UPSTREAM = both(
    "debian-tar-qcow2", "-t", "tar,qcow2", "--checksum", "debian-minimal", kept=True
)
AGAIN = Job("debian-again", OURS, DEBIAN.words, cache="layers-again")
LATE = Job("debian-late-hook", OURS, (*DEBIAN.words, "bench-late"), late=True, cache="layers-late")
SPLIT = Job("split", OURS, (*DEBIAN.words, "vm"))

CASES = (
    Case("one-file-tar", TAR, TAR_UPSTREAM, 0.10, "a tree of one file, 42 MiB, to tar"),
    Case("one-file-qcow2", QCOW2, QCOW2_UPSTREAM, 0.12, "the same to qcow2", ("convert",)),
    Case("debian-qcow2", DEBIAN, DEBIAN_UPSTREAM, 0.75, "debian-minimal to qcow2",
         ("tree", "convert")),
    Case("debian-tar-qcow2", TWO, TWO_UPSTREAM, 0.70, "debian-minimal to tar,qcow2 with checksums",
         ("tree", "convert")),
    Case("debian-again", AGAIN, DEBIAN_UPSTREAM, 0.15, "again with --cache, nothing changed"),
    Case("debian-late-hook", LATE, DEBIAN_UPSTREAM, 0.35,
         "again with --cache, the last install.d hook changed"),
    Case("split", SPLIT, DEBIAN, 1.6, "debian-minimal vm against our debian-minimal"),
    Case("at-once", Job("at-once", OURS, TAR.words, at_once=4), TAR, 2.2,
         "4 builds of one-file-tar at once against one"),
    Case("at-once-qcow2", Job("at-once-qcow2", OURS, QCOW2.words, at_once=4), QCOW2, 2.2,
         "4 builds of one-file-qcow2 at once against one"),
)
SCALE = {
    "scale-size": "our cost against the size of the tree (--sizes)",
    "scale-files": "our cost against the number of files (--files)",
    "scale-jobs": "our time against the number of builds at once (--at-once)",
}


class Refused(Exception):
    """A case that cannot be measured; the text says why."""


def chosen(names):
    """The cases of these names, or all, and the series."""
    known = [case.name for case in CASES] + list(SCALE)
    for name in names:
        if name not in known:
            raise Refused(f"no case {name}: there are {', '.join(known)}")
    wanted = names or known
    return (
        [case for case in CASES if case.name in wanted],
        [name for name in SCALE if name in wanted],
    )


def possible(cases, help_text, named):
    """The cases whose option `disk-image-create --help` has, and why others are not run.

    A case that was named is not passed over.
    """
    good, refused = [], []
    for case in cases:
        if case.option is None or case.option in help_text:
            good.append(case)
            continue
        why = f"{case.name}: disk-image-create --help has no {case.option}"
        if case.name in named:
            raise Refused(why)
        refused.append(why)
    return good, refused


def jobs_of(case, upstream, floors):
    """The jobs that a case needs, in the order of a round."""
    jobs = [case.job]
    if upstream or not case.is_beside_upstream:
        jobs.append(case.against)
    if floors:
        jobs += [Job(f"{case.name}/{name}", FLOOR, (name, case.job.name)) for name in case.floors]
    return jobs


def rounds(cases, upstream, floors):
    """Lists of jobs that alternate: cases that have a job in common are in one list, and
    the job runs once for all of them."""
    groups = []
    for case in cases:
        mine = jobs_of(case, upstream, floors)
        for group in [group for group in groups if set(group) & set(mine)]:
            groups.remove(group)
            mine = group + [job for job in mine if job not in group]
        groups.append(mine)
    return groups
