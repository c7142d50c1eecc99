#!/usr/bin/env python3
"""Compares what the hooks of two builds saw, as the element safedib-witness records it.

usage: environment_diff.py --explain FILE --deviations FILE NAME=LEFT,RIGHT...

LEFT and RIGHT are tar archives with a directory `witness`, beside each a file
`paths` with lines DIRECTORY <tab> WORD: in recorded values, where DIRECTORY is
an accident of the builder, WORD stands for it. Random parts of names and
numbers of loop devices are replaced, too.

A record is one phase's, by a hook in bash, a hook in Python (`.python`) or a
file of environment.d (`.environment`). Each difference that no explanation
covers is a line on standard output:

    NAME/RECORD/KIND:ITEM <tab> LEFT <tab> RIGHT

with `-` for what is not there. The file of explanations has lines

    GLOB <tab> LEFT <tab> RIGHT <tab> WORDS

where the first three are globs (tree_diff.py's for the first; in values `*` is
anything) and WORDS must stand in the file of deviations, as they are.

An explanation of nothing is reported on standard error: a line is of no use, or
the host lacks what it speaks of.

Exit status: 0 if no difference is left over, 1 if some are, 2 for bad usage.
"""

import argparse
import os
import re
import sys
import tarfile

import tree_diff

OUTSIDE = ("root.d", "extra-data.d", "post-root.d", "pre-finalise.d", "cleanup.d")
IN_TARGET = ("pre-install.d", "install.d", "post-install.d", "finalise.d")
RANDOM = [
    (re.compile(r"\bdib_(build|image)\.[A-Za-z0-9]{8}\b"), r"dib_\1.<random>"),
    (re.compile(r"/dev/loop[0-9]+\b"), "/dev/loop<number>"),
]


def expected_records():
    """What a build with the element leaves, whatever its options."""
    names = set()
    for phase in OUTSIDE + IN_TARGET:
        names |= {phase, phase + ".environment"}
    return names | {phase + ".python" for phase in OUTSIDE}


def read_paths(path):
    """The replacements for a side, longer directories first."""
    with open(path, encoding="utf-8") as lines:
        pairs = [line.rstrip("\n").split("\t") for line in lines]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


def normalise(text, paths):
    """A recorded value without what is random or the builder's own."""
    for directory, word in paths:
        whole = r"(?<![\w.-])%s(?![\w.-])" % re.escape(directory)
        text = re.sub(whole, lambda _: word, text)
    for pattern, word in RANDOM:
        text = pattern.sub(word, text)
    return text


def read_record(raw, paths):
    """The items of a record by their names."""
    items = {}
    for entry in raw.split(b"\0")[:-1]:
        name, _, value = entry.decode("utf-8", "surrogateescape").partition("=")
        items.setdefault(normalise(name, paths), []).append(normalise(value, paths))
    return {name: "; ".join(values) for name, values in items.items()}


def read_records(archive):
    """All records of an archive by name."""
    paths = read_paths(os.path.join(os.path.dirname(archive), "paths"))
    records = {}
    with tarfile.open(archive) as members:
        for member in members:
            directory, _, name = tree_diff.tar_path(member.name).rpartition("/")
            if directory == "witness" and member.isreg():
                records[name] = read_record(members.extractfile(member).read(), paths)
    missing = expected_records() - records.keys()
    if missing:
        raise tree_diff.Problem("%s has no %s" % (archive, ", ".join(sorted(missing))))
    return records


def compare(name, left, right):
    """The differences of two builds as (place, left, right), escaped."""
    for record in sorted(left.keys() | right.keys()):
        old, new = left.get(record, {}), right.get(record, {})
        for item in sorted(old.keys() | new.keys()):
            if old.get(item) != new.get(item):
                place = "%s/%s/%s" % (name, record, tree_diff.escape(item))
                yield place, tree_diff.show(old.get(item)), tree_diff.show(new.get(item))


class Explanation:
    """A line of the file of explanations."""

    def __init__(self, number, line, deviations):
        columns = line.split("\t")
        if len(columns) != 4 or not (columns[0].strip() and columns[3].strip()):
            raise tree_diff.Problem("line %d is not GLOB, LEFT, RIGHT, WORDS" % number)
        if columns[3] not in deviations:
            raise tree_diff.Problem("line %d: no deviation says '%s'" % (number, columns[3]))
        self.text = line
        self.place = re.compile(tree_diff.glob_to_regex(columns[0]))
        self.values = [
            re.compile(".*".join(re.escape(part) for part in column.split("*")), re.DOTALL)
            for column in columns[1:3]
        ]
        self.used = 0

    def covers(self, place, *values):
        """Whether it speaks of the difference."""
        return self.place.fullmatch(place) is not None and all(
            pattern.fullmatch(value) for pattern, value in zip(self.values, values)
        )


def read_explanations(path, deviations):
    """The lines of a file; `#` begins a comment line."""
    with open(deviations, encoding="utf-8") as text:
        words = text.read()
    with open(path, encoding="utf-8") as lines:
        return [
            Explanation(number, line.rstrip("\n"), words)
            for number, line in enumerate(lines, 1)
            if line.strip() and not line.startswith("#")
        ]


def arguments(argv):
    """The parsed command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--explain", required=True, metavar="FILE")
    parser.add_argument("--deviations", required=True, metavar="FILE")
    parser.add_argument("pairs", nargs="+", metavar="NAME=LEFT,RIGHT")
    return parser.parse_args(argv)


def main(argv=None):
    """Compares, prints, and returns the exit status."""
    options = arguments(argv)
    explanations = read_explanations(options.explain, options.deviations)
    compared = explained = left_over = 0
    for pair in options.pairs:
        name, _, archives = pair.partition("=")
        left, right = (read_records(archive) for archive in archives.split(","))
        compared += sum(len(record) for record in left.values())
        for difference in compare(name, left, right):
            covering = [line for line in explanations if line.covers(*difference)]
            for line in covering:
                line.used += 1
            explained += bool(covering)
            if not covering:
                left_over += 1
                print("\t".join(difference))
    for line in explanations:
        if not line.used:
            print("stale: %s" % line.text, file=sys.stderr)
    print(
        "%d builds, %d items, %d differences explained, %d left over"
        % (len(options.pairs), compared, explained, left_over), file=sys.stderr,
    )
    return 1 if left_over else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (tree_diff.Problem, OSError, tarfile.TarError, ValueError) as problem:
        print("environment_diff: %s" % problem, file=sys.stderr)
        sys.exit(2)
