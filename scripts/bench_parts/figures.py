"""Medians, ratios and verdicts: arithmetic only."""

import statistics

# Of all our processes together, in bytes.
MEMORY_BAR = 150 << 20
# A median of fewer runs is no verdict that counts.
ENOUGH = 3
# What the last step of a series may cost for each unit, times the first step.
LINEAR = 1.5


def median(values):
    """The median of what was measured; None of nothing, or with a gap."""
    if not values or any(value is None for value in values):
        return None
    return statistics.median(values)


def of(results, key):
    """The median of one figure of several runs."""
    return median([result[key] for result in results or []])


def least(results, key):
    """The least of one figure of several runs, for what others can only add to."""
    values = [result[key] for result in results or []]
    return None if not values or None in values else min(values)


def ratio(ours, other):
    """How many times the other; None if either is missing, or the other is nothing."""
    if ours is None or not other:
        return None
    return ours / other


def verdict(figure, limit, runs=ENOUGH):
    """Whether a figure is at most its bar."""
    if figure is None:
        return "not measured"
    return counted("met" if figure <= limit else "missed", runs)


def counted(word, runs):
    """A verdict, with the number of its runs if they are too few."""
    if runs >= ENOUGH:
        return word
    return f"{word} (of {runs} run{'' if runs == 1 else 's'})"


def stages(results):
    """The median of each stage, in the order of the first run."""
    names = list(results[0]["stages"]) if results else []
    return {name: median([run["stages"].get(name, 0.0) for run in results]) for name in names}


def steps(points):
    """What each further unit costs between neighbours of a series of (amount, cost), whose
    amounts rise."""
    return [
        (cost - before) / (amount - less)
        for (less, before), (amount, cost) in zip(points, points[1:])
    ]


def linear(points):
    """Whether a series is linear: how many times the first step's unit the last one's
    costs, and the word. Two points always lie on a line."""
    found = steps(points)
    if len(found) < 2:
        return None, "too few points"
    if found[0] <= 0:
        return None, "not measured: the first step is lost in noise"
    times = found[-1] / found[0]
    return times, "linear" if times <= LINEAR else "not linear"
