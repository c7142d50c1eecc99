"""Runs upstream's own diskimage-builder --dry-run over many cases in one process.

usage: image_yaml_upstream.py PACKAGE_ROOT <cases.json >outcomes.json

A case is a list of words. Its outcome is {"status": exit status, "stderr": text},
with the directory of upstream's scripts left out and an uncaught exception
shown as its class.
"""

import contextlib
import io
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])

from diskimage_builder import diskimage_builder as upstream  # noqa: E402
from diskimage_builder import paths  # noqa: E402

os.environ["COLUMNS"] = "80"
PROGRAM = "bash " + paths.get_path("lib") + "/"


def outcome(words):
    sys.argv = ["diskimage-builder", *words]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            upstream.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        except Exception as error:
            status = 1
            said.write(type(error).__name__)
    return {"status": status, "stderr": said.getvalue().replace(PROGRAM, "")}


json.dump([outcome(words) for words in json.load(sys.stdin)], sys.stdout)
