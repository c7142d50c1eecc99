"""Runs upstream's element-info over many command lines.

usage: element_info_upstream.py CASES.json >runs.json

A case is [words, [[name, value], ...]]. A run is {"status": n, "stdout": text,
"stderr": text}. Each case gets a forked process: logging is set up once there.
"""

import json
import os
import sys
import tempfile
import traceback

import yaml  # noqa: F401: before the forks, because it takes long

from diskimage_builder import element_dependencies as upstream


def child(words, variables, out, err):
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    os.environ.update(variables)
    sys.argv = ["element-info"] + words
    status = 0
    try:
        status = upstream.main()
    except SystemExit as end:
        status = end.code or 0
    except Exception:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run(words, variables):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            child(words, dict(variables), out, err)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        return {"status": status, "stdout": out.read().decode(),
                "stderr": err.read().decode()}


with open(sys.argv[1]) as cases:
    json.dump([run(*case) for case in json.load(cases)], sys.stdout)
