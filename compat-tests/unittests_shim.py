"""Runs upstream's unit tests for compat-tests/unittests, which see.

With SAFEDIB_BIN, the functions under test are replaced by calls of our commands
where these show the same. Writes a JSON object to stdout: {"passed", "called",
"why"} by case.
"""

import io
import json
import logging
import os
import shlex
import subprocess
import sys
import tempfile
import unittest

import yaml

from diskimage_builder import diskimage_builder as front
from diskimage_builder import element_dependencies as deps
from diskimage_builder.block_device import config as graph
from diskimage_builder.block_device.exception import BlockDeviceSetupException

BINARY = os.environ.get("SAFEDIB_BIN")
CALLS = []
# Some tests replace it while they run.
POPEN = subprocess.Popen
# In a container upstream calls kpartx in another way than its tests say.
EXISTS = os.path.exists
os.path.exists = lambda path: path != "/.dockerenv" and EXISTS(path)


def ours(words, **variables):
    """Runs one of our commands."""
    CALLS.append(words)
    with POPEN([BINARY, *words], env={**os.environ, **variables}, stdout=subprocess.PIPE,
               stderr=subprocess.PIPE, text=True) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def message(done):
    """What a command says is wrong, without its name and our hint."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("hint: ")]
    return lines[-1].split(": ", 1)[1] if lines else ""


def element_info(elements, paths):
    """Names and paths, from what element-info --env would have a shell set."""
    done = ours(["element-info", "--env", *elements], ELEMENTS_PATH=paths)
    if done.returncode != 0:
        for line in done.stderr.splitlines():
            logging.getLogger("element-info").error("%s", line)
        raise refusal(message(done))
    script = done.stdout + '\nprintf %s "$IMAGE_ELEMENT_YAML"'
    text = subprocess.run(["bash", "-c", script], check=True, stdout=subprocess.PIPE).stdout
    return list(yaml.safe_load(text).items())


def refusal(text):
    """Upstream's exception for our message."""
    for part, kind in [("not found", deps.MissingElementException),
                       ("already provided by", deps.AlreadyProvidedException),
                       ("is not a directory", deps.InvalidElementDir),
                       ("operating system element", deps.MissingOSException)]:
        if part in text:
            return kind(text)
    return RuntimeError(text)


class Line:
    """A command line that diskimage-builder --dry-run shows, as upstream's
    Command has it; the tests say where the script lies."""

    def __init__(self, text):
        self.text = text
        self.words = [word for word in shlex.split(text)]
        while "=" in self.words[0]:
            self.words.pop(0)

    def command(self):
        name, *rest = self.words
        return ["bash", f"{front.diskimage_builder.paths.get_path('lib')}/{name}", *rest]


def build_commands(definitions):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "images.yaml")
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(definitions, file, sort_keys=False)
        done = ours(["diskimage-builder", "--dry-run", path])
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return [Line(text) for text in done.stderr.splitlines() if "-image-create" in text]


def dry_main(theirs, their_commands):
    """Its main(), as far as it only shows what would be done."""
    def main():
        arguments = front.get_args()
        if not arguments.dry_run:
            front.build_commands = their_commands
            try:
                return theirs()
            finally:
                front.build_commands = build_commands
        done = ours(["diskimage-builder", "--dry-run", *arguments.files])
        assert done.returncode == 0, done.stderr
        return None
    return main


THEIR_TREE = graph.config_tree_to_graph


def config_tree_to_graph(config):
    """The expanded configuration that dib-block-device init writes. Upstream's
    tests of states have plugins of their own, in Python."""
    if graph._extensions.namespace.endswith("plugin_test"):
        return THEIR_TREE(config)
    with tempfile.TemporaryDirectory() as directory:
        config_file, params = f"{directory}/config.yaml", f"{directory}/params.yaml"
        with open(config_file, "w", encoding="utf-8") as file:
            yaml.safe_dump(config, file, sort_keys=False)
        with open(params, "w", encoding="utf-8") as file:
            yaml.safe_dump({"config": config_file, "build-dir": directory, "image-size": "1000",
                            "image-dir": directory, "mount-base": f"{directory}/mnt"}, file)
        done = ours(["dib-block-device", "--params", params, "init"])
        if done.returncode != 0:
            raise BlockDeviceSetupException(message(done))
        with open(f"{directory}/states/block-device/config.json", encoding="utf-8") as file:
            return json.load(file)


def replace():
    """Puts ours in place, before any test module has imported a name."""
    deps.get_elements = element_info
    deps.expand_dependencies = lambda elements, paths: {n for n, _ in element_info(elements, paths)}
    deps._get_elements = lambda elements, paths=None: [
        deps.Element(*pair) for pair in element_info(elements, paths)]
    front.main = dry_main(front.main, front.build_commands)
    front.build_commands = build_commands
    graph.config_tree_to_graph = config_tree_to_graph


class Results(unittest.TestResult):
    """Which case did what."""

    def __init__(self):
        super().__init__()
        self.cases = {}

    def startTest(self, test):
        super().startTest(test)
        CALLS.clear()
        self.why = ""

    def addError(self, test, err=None, details=None):
        self.why = reason(err, details)

    addFailure = addError

    def stopTest(self, test):
        super().stopTest(test)
        name = test.id().removeprefix("diskimage_builder.")
        self.cases[name] = {"passed": not self.why, "called": len(CALLS), "why": self.why}


def reason(error, details):
    if error:
        return f"{error[0].__name__}: {error[1]}"
    return details["traceback"].as_text().strip()[-400:] if details else "no reason given"


def main():
    if BINARY:
        replace()
    suite = unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromName(f"diskimage_builder.{name}")
        for name in modules())
    results = Results()
    out, sys.stdout = sys.stdout, io.StringIO()
    sys.stderr = io.StringIO()
    suite.run(results)
    sys.stdout, sys.stderr = out, sys.__stderr__
    json.dump(results.cases, out, indent=1)


def modules():
    """Upstream's test modules, as names below its package."""
    root = os.path.dirname(os.path.abspath(front.__file__))
    for package in ("tests", "block_device/tests"):
        for name in sorted(os.listdir(os.path.join(root, package))):
            if name.startswith("test_") and name.endswith(".py"):
                yield f"{package}/{name[:-3]}".replace("/", ".")


main()
