"""Our cost against the size of the tree, the number of files, and of builds at once."""

from .cases import Job, OURS
from .figures import median

FORMATS = ("tar", "raw")
TREE = ("-n", "safedib-tree")
GIB = 1 << 30


def tree_job(name, kind):
    """A build of a tree to one format."""
    return Job(f"{name}-{kind}", OURS, ("-t", kind, *TREE))


def points(name, values):
    """The amount and the variables of each point of a series."""
    if name == "scale-size":
        return [(size, {"DIB_TREE_BYTES": str(int(size * GIB)), "DIB_TREE_FILES": "1000"})
                for size in values]
    # 512 bytes each: it is the files that cost.
    return [(files, {"DIB_TREE_BYTES": str(int(files * 1000) * 512),
                     "DIB_TREE_FILES": str(int(files * 1000))}) for files in values]


def row(name, kind, amount, results):
    """A point as JSON has it; the cost is without the seconds in which the hook made the
    tree, unless there were several hooks."""
    trees_took = [0.0 if name == "scale-jobs" else result["tree"] or 0.0 for result in results]
    times = [result["seconds"] for result in results]
    return {
        "series": name, "format": kind, "amount": amount,
        "seconds": median(times), "tree": median(trees_took),
        "cost": median([time - tree for time, tree in zip(times, trees_took)]),
        "runs": results,
    }


def trees(runs, name, values):
    """One of the two series over trees, to each format; a list of rows."""
    rows = []
    for kind in FORMATS:
        for amount, variables in points(name, values):
            job = tree_job(f"{name}-{amount:g}", kind)
            for _ in range(runs.count):
                runs.guarded(job, lambda job=job, extra=variables: runs.timed(job, "0", extra))
            if job.key in runs.results and job.key not in runs.failed:
                rows.append(row(name, kind, amount, runs.results[job.key]))
    return rows


def at_once(runs, values):
    """The series over builds at once."""
    rows = []
    for count in values:
        job = Job(f"scale-jobs-{count}", OURS, ("-t", "tar", *TREE), at_once=count)
        for _ in range(runs.count):
            runs.guarded(job, lambda job=job: runs.timed(job, "0"))
        if job.key in runs.results and job.key not in runs.failed:
            rows.append(row("scale-jobs", "tar", count, runs.results[job.key]))
    return rows


def series(runs, names, options):
    """All that were chosen."""
    rows = []
    for name, values in (("scale-size", options.sizes), ("scale-files", options.files)):
        if name in names:
            rows += trees(runs, name, values)
    if "scale-jobs" in names:
        rows += at_once(runs, options.at_once)
    return rows
