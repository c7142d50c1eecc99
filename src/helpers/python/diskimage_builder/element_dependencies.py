"""Finding elements and resolving what they depend on, for element scripts."""

import argparse
import collections
import logging
import os
import shlex
import sys

logger = logging.getLogger(__name__)


class MissingElementException(Exception):
    """An element is on no path."""


class AlreadyProvidedException(Exception):
    """Two elements of a build provide the same."""


class MissingOSException(Exception):
    """No element of a build provides operating-system."""


class InvalidElementDir(Exception):
    """A component of the path is no directory."""


def _lines(path):
    try:
        with open(path) as listing:
            return {line.strip() for line in listing if line.strip()}
    except FileNotFoundError:
        return set()


class Element:
    """An element, and the content of its two lists."""

    def __init__(self, name, path):
        self.name = name
        self.path = path
        self.provides = _lines(os.path.join(path, "element-provides"))
        self.depends = _lines(os.path.join(path, "element-deps"))

    def __repr__(self):
        return self.name


def _find_all_elements(paths=None):
    paths = paths or os.environ.get("ELEMENTS_PATH")
    if not paths:
        raise Exception("$ELEMENTS_PATH must be set.")
    found = {}
    # Earlier directories win, so they come last.
    for directory in reversed(paths.split(":")):
        if not os.path.isdir(directory):
            raise InvalidElementDir(
                "ELEMENTS_PATH entry '%s' is not a directory " % directory)
        for entry in os.listdir(directory):
            path = os.path.realpath(os.path.join(directory, entry))
            if not os.path.isdir(path):
                continue
            element = Element(os.path.basename(path), path)
            if element.name in found:
                logger.warning("Element <%s> overrides <%s>",
                               path, found[element.name].path)
            found[element.name] = element
    return found


def _expand(user_elements, catalog):
    wanted = set(user_elements)
    queue = collections.deque(user_elements)
    provided_by = {}
    while queue:
        name = queue.popleft()
        if name in provided_by:
            continue
        if name not in catalog:
            raise MissingElementException("Element '%s' not found" % name)
        element = catalog[name]
        for provided in element.provides:
            if provided in provided_by:
                raise AlreadyProvidedException(
                    "%s: already provided by %s"
                    % (provided, provided_by[provided]))
        for provided in element.provides:
            provided_by[provided] = [name]
        queue.extend(element.depends - wanted - provided_by.keys())
        wanted |= element.depends
    conflicts = set(user_elements) & provided_by.keys()
    if conflicts:
        logger.error(
            "The following elements are already provided by another element")
        for name in conflicts:
            logger.error("%s : already provided by %s",
                         name, provided_by[name])
        raise AlreadyProvidedException()
    if "operating-system" not in provided_by:
        raise MissingOSException("Please include an operating system element")
    return [catalog[name] for name in sorted(wanted - provided_by.keys())]


def get_elements(elements, paths=None):
    """Return [(name, path), ...] of the elements and all they depend on."""
    chosen = _expand(elements, _find_all_elements(paths))
    return [(element.name, element.path) for element in chosen]


def expand_dependencies(user_elements, element_dirs):
    """Deprecated: return the names that get_elements finds, as a set."""
    logger.warning("expand_dependencies() deprecated, use get_elements")
    return {name for name, _ in get_elements(user_elements, element_dirs)}


def main(argv=None):
    """Print the names, or what bash needs to know of names and paths."""
    parser = argparse.ArgumentParser(prog="element-info")
    parser.add_argument("elements", nargs="+")
    parser.add_argument("-e", "--env", action="store_true",
                        help="print assignments for bash")
    parser.add_argument("-d", "--expand-dependencies", action="store_true",
                        help="no effect")
    arguments = parser.parse_args(argv)
    chosen = get_elements(arguments.elements)
    names = " ".join(name for name, _ in chosen)
    if not arguments.env:
        print(names)
        return 0
    pairs = "".join("%s: %s\n" % pair for pair in chosen)
    array = " ".join("[%s]=%s" % (name, shlex.quote(path))
                     for name, path in chosen)
    print("export IMAGE_ELEMENT=%s" % shlex.quote(names))
    print("export IMAGE_ELEMENT_YAML=%s" % shlex.quote(pairs))
    print("get_image_element_array() { echo %s; }" % shlex.quote(array))
    print("export -f get_image_element_array")
    return 0


if __name__ == "__main__":
    sys.exit(main())
