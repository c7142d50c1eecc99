#!/usr/bin/env python3
"""Compares two file trees, each a tar archive or a directory.

Compared for every path: type, mode, uid, gid, size of regular files, target of
symbolic links, the other names of the same inode, extended attributes, device
numbers, and with --content what is in regular files. Times and the owners'
names are not compared.

Every difference is a line on standard output:

    PATH <tab> FIELD <tab> LEFT <tab> RIGHT

FIELD is `missing` (only on the left), `extra` (only on the right), or what
differs: type mode uid gid size link hardlinks device content xattr:NAME.
Bytes that would break the line are written as \\xNN.

A rules file has lines of the form

    GLOB <tab> FIELD[,FIELD...] <tab> REASON

where `*` in GLOB does not cross a slash, `**` does, `?` is one character, and
the field `*` is all of them. The tool's own output is a rules file, too: two
runs of the same builder give a baseline for --baseline.

Exit status: 0 if no difference is left over, 1 if some are, 2 for bad usage.
"""

import argparse
import hashlib
import os
import re
import stat
import sys
import tarfile

XATTR_PREFIX = "SCHILY.xattr."
BLOCK = 1 << 20


class Problem(Exception):
    """Something that the user must change."""


def escape(text):
    """The text with backslashes and whatever is not printable as \\xNN."""
    if text.isprintable() and "\\" not in text:
        return text
    out = []
    for char in text:
        if char.isprintable() and char != "\\":
            out.append(char)
        else:
            raw = char.encode("utf-8", "surrogateescape")
            out.extend("\\x%02x" % byte for byte in raw)
    return "".join(out)


def hash_stream(stream):
    """SHA-256 of all that can be read."""
    digest = hashlib.sha256()
    while block := stream.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def tar_path(name):
    """`./a/b/`, `a/b` and `/a/b` are one path; the root is `.`."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return "/".join(parts) or "."


def tar_type(info):
    """The type of a member that is no hard link."""
    if info.isreg():
        return "file"
    if info.isdir():
        return "directory"
    if info.issym():
        return "symlink"
    if info.ischr():
        return "char"
    if info.isblk():
        return "block"
    if info.isfifo():
        return "fifo"
    return "type-%s" % info.type.decode("ascii", "backslashreplace")


def tar_entry(archive, info, content):
    """The compared fields of a member that is no hard link."""
    kind = tar_type(info)
    entry = {
        "type": kind,
        "mode": "%04o" % (info.mode & 0o7777),
        "uid": str(info.uid),
        "gid": str(info.gid),
    }
    if kind == "symlink":
        entry["link"] = info.linkname
        # Archivers differ in what they store; no system uses these bits.
        del entry["mode"]
    if kind in ("char", "block"):
        entry["device"] = "%d:%d" % (info.devmajor, info.devminor)
    if kind == "file":
        entry["size"] = str(info.size)
        if content:
            entry["content"] = hash_stream(archive.extractfile(info))
    for key, value in info.pax_headers.items():
        if key.startswith(XATTR_PREFIX):
            entry["xattr:" + key[len(XATTR_PREFIX):]] = value
    return entry


def read_tar(path, content=False):
    """All entries of an archive by path."""
    entries = {}
    first_name = {}
    groups = {}
    with tarfile.open(path, errors="surrogateescape") as archive:
        for info in archive:
            name = tar_path(info.name)
            if not info.islnk():
                # Of two members with one name the later is what extraction leaves.
                entries[name] = tar_entry(archive, info, content)
                first_name[name] = name
                continue
            target = tar_path(info.linkname)
            if target not in first_name:
                raise Problem(
                    "%s: hard link %s to %s, which does not precede it"
                    % (path, escape(name), escape(target))
                )
            first = first_name[target]
            first_name[name] = first
            entries[name] = dict(entries[first])
            groups.setdefault(first, [first]).append(name)
    note_groups(entries, groups.values())
    return entries


def note_groups(entries, groups):
    """Adds to each of several names of an inode all the names."""
    for names in groups:
        text = " ".join(sorted(escape(name) for name in names))
        for name in names:
            entries[name]["hardlinks"] = text


def directory_entry(path, status, content):
    """The compared fields of a file on this machine."""
    kinds = {
        stat.S_IFREG: "file",
        stat.S_IFDIR: "directory",
        stat.S_IFLNK: "symlink",
        stat.S_IFCHR: "char",
        stat.S_IFBLK: "block",
        stat.S_IFIFO: "fifo",
        stat.S_IFSOCK: "socket",
    }
    kind = kinds[stat.S_IFMT(status.st_mode)]
    entry = {
        "type": kind,
        "mode": "%04o" % stat.S_IMODE(status.st_mode),
        "uid": str(status.st_uid),
        "gid": str(status.st_gid),
    }
    if kind == "symlink":
        entry["link"] = os.readlink(path)
        del entry["mode"]
    if kind in ("char", "block"):
        device = status.st_rdev
        entry["device"] = "%d:%d" % (os.major(device), os.minor(device))
    if kind == "file":
        entry["size"] = str(status.st_size)
        if content:
            with open(path, "rb") as stream:
                entry["content"] = hash_stream(stream)
    for name in os.listxattr(path, follow_symlinks=False):
        value = os.getxattr(path, name, follow_symlinks=False)
        entry["xattr:" + name] = value.decode("utf-8", "surrogateescape")
    return entry


def read_directory(root, content=False):
    """All entries below a directory by path, itself as `.`."""
    entries = {}
    inodes = {}

    def add(path, name):
        status = os.lstat(path)
        entries[name] = directory_entry(path, status, content)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            inodes.setdefault((status.st_dev, status.st_ino), []).append(name)

    def fail(error):
        raise error

    add(root, ".")
    for place, directories, files in os.walk(root, onerror=fail):
        for base in directories + files:
            path = os.path.join(place, base)
            add(path, os.path.relpath(path, root))
    note_groups(entries, (names for names in inodes.values() if len(names) > 1))
    return entries


def read_tree(path, content=False):
    """All entries of an archive or a directory."""
    if os.path.isdir(path):
        return read_directory(path, content)
    return read_tar(path, content)


def compare(left, right):
    """The differences as (path, field, left, right), sorted, all escaped."""
    found = []
    for path in sorted(left.keys() | right.keys()):
        shown = escape(path)
        if path not in right:
            found.append((shown, "missing", left[path]["type"], "-"))
        elif path not in left:
            found.append((shown, "extra", "-", right[path]["type"]))
        else:
            found.extend(
                (shown, escape(field), old, new)
                for field, old, new in compare_entry(left[path], right[path])
            )
    return found


def compare_entry(left, right):
    """The fields that differ; of two types of file only the type."""
    if left["type"] != right["type"]:
        return [("type", left["type"], right["type"])]
    fields = []
    for field in sorted(left.keys() | right.keys()):
        if field == "content" and left["size"] != right["size"]:
            continue
        old, new = left.get(field), right.get(field)
        if old != new:
            fields.append((field, show(old), show(new)))
    return fields


def show(value):
    """A field's value as it is printed."""
    return "-" if value is None else escape(value)


class Rule:
    """A line of a rules file."""

    def __init__(self, glob, fields, reason, place):
        self.glob = glob
        self.pattern = re.compile(glob_to_regex(glob))
        self.fields = frozenset(fields.split(","))
        self.reason = reason
        self.place = place
        self.used = 0

    def matches(self, path, field):
        """Whether the rule speaks of this difference."""
        wanted = "*" in self.fields or field in self.fields
        return wanted and self.pattern.fullmatch(path) is not None


def glob_to_regex(glob):
    """`**` crosses slashes, `*` does not, `?` is one character."""
    out = []
    for part in re.split(r"(\*\*|\*|\?)", glob):
        out.append({"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part)))
    return "".join(out)


def read_rules(path):
    """The rules of a file; `#` begins a comment line."""
    rules = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            parts = line.split("\t", 2)
            place = "%s:%d" % (path, number)
            if len(parts) != 3 or not all(part.strip() for part in parts):
                raise Problem("%s: not GLOB <tab> FIELDS <tab> REASON" % place)
            rules.append(Rule(*parts, place))
    return rules


def first_match(rules, path, field):
    """The first rule that speaks of the difference, counted as used."""
    for rule in rules:
        if rule.matches(path, field):
            rule.used += 1
            return rule
    return None


def arguments(argv):
    """The parsed command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("left", help="tar archive or directory")
    parser.add_argument("right", help="tar archive or directory")
    parser.add_argument("--content", action="store_true", help="compare contents")
    parser.add_argument(
        "--baseline", action="append", default=[], metavar="FILE",
        help="rules: differences that the left builder has with itself",
    )
    parser.add_argument(
        "--explain", action="append", default=[], metavar="FILE",
        help="rules: intended differences; one that matches nothing is reported",
    )
    parser.add_argument(
        "--verbose", action="store_true",
        help="print the differences that rules cover on standard error",
    )
    return parser.parse_args(argv)


def main(argv=None):
    """Compares, prints, and returns the exit status."""
    options = arguments(argv)
    baseline = [rule for file in options.baseline for rule in read_rules(file)]
    explain = [rule for file in options.explain for rule in read_rules(file)]
    left = read_tree(options.left, options.content)
    right = read_tree(options.right, options.content)
    differences = compare(left, right)
    counts = {"baseline": 0, "explained": 0, "left over": 0}
    for difference in differences:
        path, field = difference[:2]
        kind = "baseline"
        rule = first_match(baseline, path, field)
        if rule is None:
            kind = "explained"
            rule = first_match(explain, path, field)
        if rule is None:
            kind = "left over"
            print("\t".join(difference))
        elif options.verbose:
            row = "\t".join((kind,) + difference + (rule.reason,))
            print(row, file=sys.stderr)
        counts[kind] += 1
    for rule in explain:
        if not rule.used:
            print("stale: %s: %s" % (rule.place, rule.glob), file=sys.stderr)
    print(
        "%d and %d entries, %d differences: %d in the baseline, %d explained, %d left over"
        % ((len(left), len(right), len(differences)) + tuple(counts.values())),
        file=sys.stderr,
    )
    return 1 if counts["left over"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Problem, OSError, tarfile.TarError) as problem:
        print("tree_diff: %s" % problem, file=sys.stderr)
        sys.exit(2)
