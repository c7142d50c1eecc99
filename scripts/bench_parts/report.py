"""The results as Markdown and as JSON."""

from . import figures
from .cases import FLOOR

MIB = 1 << 20
# Of the processors: as much may have been busy with other things.
BUSY = 0.2
CACHES = (
    "Each side has an image cache of its own, which a run that is not counted has filled: packages "
    "that elements cache by default come from there, all else from the mirror each time. "
    "Layers of --cache are there for the cases that say so."
)
# For each series how an amount is written, of how many a unit is, and its name.
UNITS = {
    "scale-size": ("{:g} GiB", 1, "GiB"),
    "scale-files": ("{:g}k files", 10, "10k files"),
    "scale-jobs": ("{:g} at once", 1, "build"),
}


def number(value, form=".2f"):
    """A figure, or a dash."""
    return "-" if value is None else format(value, form)


def mib(value):
    """Bytes as MiB, or a dash."""
    return number(None if value is None else value / MIB, ".1f")


def table(head, rows):
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def spread(results):
    """The median of the times, with the least and the most."""
    times = [result["seconds"] for result in results or []]
    if not times:
        return "-"
    return f"{figures.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"


def scale_rows(points, steps, form, count, unit):
    """The lines of one series; the steps between its points are one fewer."""
    return [
        [row["series"], row["format"], form.format(row["amount"]), number(row["seconds"]),
         number(row["tree"]), number(row["cost"]),
         f"{row['cost'] / row['amount'] * count:.2f} s/{unit}",
         number(None if step is None else step * count)]
        for row, step in zip(points, [None, *steps])
    ]


class Report:
    """What is known in the end: cases, results by key of job, rows of series."""

    def __init__(self, cases, runs, rows, facts):
        self.cases = cases
        self.runs = runs
        self.rows = rows
        self.facts = facts

    def results(self, job):
        """The runs that count of a job that has not failed."""
        return [] if job.key in self.runs.failed else self.runs.results.get(job.key, [])

    def judged(self, case):
        """Ratio and verdict of a case."""
        ours, other = self.results(case.job), self.results(case.against)
        found = figures.ratio(figures.of(ours, "seconds"), figures.of(other, "seconds"))
        return found, figures.verdict(found, case.limit, min(len(ours), len(other)))

    def floor(self, case):
        """The floors of a case, each with its name."""
        keys = {name: f"{case.name}/{name}:{FLOOR}" for name in case.floors}
        found = {name: figures.of(self.runs.results.get(key), "seconds")
                 for name, key in keys.items()}
        return ", ".join(f"{name} {number(value)}" for name, value in found.items()) or "-"

    def bars(self):
        """The table of the bars."""
        rows = []
        for case in self.cases:
            found, word = self.judged(case)
            rows.append([
                case.name, case.what, spread(self.results(case.job)),
                f"{case.against.key} {spread(self.results(case.against))}",
                number(found, ".3f"), number(case.limit), word, self.floor(case),
            ])
        head = ["case", "what", "s", "against, s", "ratio", "bar", "verdict", "floor, s"]
        return table(head, rows)

    def bound(self, case):
        """The other bounds of one case: a row of its table."""
        ours, other = self.results(case.job), self.results(case.against)
        memory = self.runs.memory.get(case.job.key, {})
        written = [figures.least(side, "device_bytes") for side in (ours, other)]
        count = min(len(ours), len(other))
        times = figures.ratio(*written)
        word = figures.verdict(times, 1.0, count) if case.is_beside_upstream else "-"
        return [
            case.name,
            " / ".join(number(figures.of(side, "cpu")) for side in (ours, other)),
            f"{mib(memory.get('sum'))} ({mib(memory.get('largest'))})",
            figures.verdict(memory.get("sum"), figures.MEMORY_BAR),
            " / ".join(map(mib, written)), word,
        ]

    def bounds(self):
        """The table of memory, writes and processor time."""
        return table(
            ["case", "CPU s, ours / other", "memory MiB, together (largest)", "below 150",
             "device MiB, ours / other", "at most upstream's"],
            [self.bound(case) for case in self.cases],
        )

    def stages(self):
        """The table of stages, of both sides."""
        jobs = {job.key: job for case in self.cases for job in (case.job, case.against)}
        rows = []
        for key, job in jobs.items():
            found = figures.stages(self.results(job))
            if found:
                text = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
                rows.append([key, text])
        return table(["build", "stages, s"], rows)

    def scale(self):
        """The table of the series, and whether each is linear."""
        rows, verdicts = [], ""
        for name, kind in dict.fromkeys((row["series"], row["format"]) for row in self.rows):
            mine = [row for row in self.rows if (row["series"], row["format"]) == (name, kind)]
            points = [(row["amount"], row["cost"]) for row in mine]
            rows += scale_rows(mine, figures.steps(points), *UNITS[name])
            times, word = figures.linear(points)
            count = min(len(row["runs"]) for row in mine)
            verdicts += (f"- {name} to {kind}: {figures.counted(word, count)}; a unit of the last "
                         f"step costs {number(times)} times one of the first\n")
        head = ["series", "to", "amount", "s", "of it the tree, s", "cost, s", "cost for each",
                "for each further"]
        return table(head, rows) + "\n" + verdicts

    def others(self):
        """How busy the machine was with what was not measured."""
        found = [run["others"] for results in self.runs.results.values() for run in results]
        found = [share for share in found if share is not None]
        if not found:
            return "how busy the machine was with other things is not known. "
        text = f"processors busy with other things: {min(found):.2f} to {max(found):.2f}. "
        if max(found) > BUSY * self.facts["processors"]:
            text += "**The machine had other things to do: do not trust these figures.** "
        return text

    def markdown(self):
        """Everything that a reader wants."""
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        text = f"# Speed\n\n{facts}; {self.others()}{CACHES}\n"
        if self.cases:
            text += f"\n## Bars\n\n{self.bars()}\n## Bounds\n\n{self.bounds()}"
            text += f"\n## Stages\n\n{self.stages()}"
        if self.rows:
            text += f"\n## Scale\n\n{self.scale()}"
        notes = self.runs.notes + [f"{key}: failed: {text.splitlines()[0]}"
                                   for key, text in self.runs.failed.items()]
        if notes:
            text += "\n## Not measured\n\n" + "".join(f"- {note}\n" for note in notes)
        return text

    def json(self):
        """The same for programs; `version` is 1 until a field goes or means something else."""
        cases = []
        for case in self.cases:
            found, word = self.judged(case)
            cases.append({"case": case.name, "job": case.job.key, "against": case.against.key,
                          "ratio": found, "bar": case.limit, "verdict": word})
        return {
            "version": 1, "facts": self.facts, "cases": cases, "jobs": self.runs.results,
            "memory": self.runs.memory, "scale": self.rows, "failed": self.runs.failed,
            "not_measured": self.runs.notes,
        }
