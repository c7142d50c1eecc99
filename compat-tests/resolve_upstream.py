"""Runs upstream's own resolver over many cases in one process.

usage: resolve_upstream.py PACKAGE_ROOT <cases.json >outcomes.json

A case is {"paths": [...], "request": [...]}. Its outcome is {"elements":
[[name, path], ...]}, sorted, or {"error": class, "message": text}. The order in
which upstream walks its sets depends on PYTHONHASHSEED.
"""

import json
import logging
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])

from diskimage_builder import element_dependencies as upstream  # noqa: E402

logging.disable(logging.CRITICAL)
catalogs = {}


def catalog(paths):
    if paths not in catalogs:
        catalogs[paths] = upstream._find_all_elements(paths)
    return catalogs[paths]


def outcome(case):
    try:
        found = catalog(":".join(case["paths"]))
        elements = upstream._expand_element_dependencies(case["request"], found)
    except (
        upstream.AlreadyProvidedException,
        upstream.InvalidElementDir,
        upstream.MissingElementException,
        upstream.MissingOSException,
    ) as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"elements": sorted([element.name, element.path] for element in elements)}


json.dump([outcome(case) for case in json.load(sys.stdin)], sys.stdout)
