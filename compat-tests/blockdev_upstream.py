"""Runs upstream's block-device layer for blockdev.rs.

Reads a list of cases from stdin, writes a list of outcomes to stdout (JSON).
A case has `dir` (a fresh directory), `config` and `params` (YAML texts), `env`
and, for a run of the command line, `runs`: lists of arguments.

No command is run: `exec_sudo` is replaced, so `create` only records what it
would have called. What it writes itself (the MBR) goes into a sparse file.
"""

import contextlib
import io
import json
import logging
import os
import sys
import traceback
import uuid

import yaml

from diskimage_builder.block_device import blockdevice
from diskimage_builder.block_device import cmd
from diskimage_builder.block_device import config as graph
from diskimage_builder.block_device import utils
from diskimage_builder.block_device.level0 import localloop
from diskimage_builder.block_device.level1 import lvm
from diskimage_builder.block_device.level1 import partitioning
from diskimage_builder.block_device.level2 import mkfs
from diskimage_builder.block_device.level3 import mount

SYMBOLS = ["root-label", "root-fstype", "boot-label", "mount-points"]
CREATED = ["image-path", "image-block-device", "image-block-devices"]
UUID = uuid.UUID("00000000-0000-4000-8000-000000000000")


class Commands:
    """Stands for exec_sudo."""

    def __init__(self):
        self.calls = []
        self.loops = 0

    def __call__(self, command):
        # What Popen would refuse.
        for word in command:
            os.fsencode(word)
        self.calls.append(command)
        if command[0] == "losetup" and "--show" in command:
            self.loops += 1
            return "/dev/loop%d\n" % (self.loops - 1)
        return ""


def replace_exec(commands):
    modules = [blockdevice, utils, localloop, lvm, partitioning, mkfs, mount]
    for module in modules:
        module.exec_sudo = commands


def attempt(function, *arguments):
    """The result, or the exception, and what was printed."""
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            result = function(*arguments)
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"value": out.getvalue(), "result": result}


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def names(device):
    state = {}
    _, order = graph.create_graph(device.config, device.params, state)
    return [node.name for node in order]


def explore(case):
    """Everything that the layer does with one configuration."""
    os.environ.pop("DIB_BLOCK_SIZE", None)
    os.environ.update(case.get("env", {}))
    commands = Commands()
    replace_exec(commands)
    with open(os.path.join(case["dir"], "config.yaml"), "w") as file:
        file.write(case["config"])
    device = blockdevice.BlockDevice(yaml.safe_load(case["params"]))
    outcome = {"init": attempt(device.cmd_init)}
    if "error" in outcome["init"]:
        return outcome
    outcome["config_json"] = read(device.config_json_file_name)
    outcome["after_init"] = sorted(os.listdir(device.state_dir))
    outcome["getval"] = {s: attempt(device.cmd_getval, s) for s in SYMBOLS}
    outcome["graph"] = attempt(names, device)
    if "error" in outcome["graph"]:
        return outcome
    outcome["create"] = attempt(device.cmd_create)
    outcome["commands"] = list(commands.calls)
    if "error" in outcome["create"]:
        return outcome
    outcome["state_json"] = read(device.state_json_file_name)
    outcome["created"] = {s: attempt(device.cmd_getval, s) for s in CREATED}
    outcome["writefstab"] = attempt(device.cmd_writefstab)
    outcome["fstab"] = read(os.path.join(device.state_dir, "fstab"))
    commands.calls.clear()
    outcome["umount"] = attempt(device.cmd_umount)
    outcome["umount_commands"] = list(commands.calls)
    commands.calls.clear()
    outcome["cleanup"] = attempt(device.cmd_cleanup)
    outcome["cleanup_commands"] = list(commands.calls)
    return outcome


def run(arguments, env):
    """One run of the command line."""
    out, err = io.StringIO(), io.StringIO()
    for name in ("DIB_BLOCK_DEVICE_PARAMS_YAML", "DIB_BLOCK_SIZE"):
        os.environ.pop(name, None)
    os.environ.update(env)
    sys.argv = ["dib-block-device"] + arguments
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cmd.main()
        except SystemExit as error:
            status = error.code
        except Exception:
            traceback.print_exc()
            status = 1
    # As sys.exit() takes it.
    return {"status": status or 0, "stdout": out.getvalue(), "stderr": err.getvalue()}


def answer(case):
    if "runs" in case:
        replace_exec(Commands())
        return [run(arguments, case.get("env", {})) for arguments in case["runs"]]
    return explore(case)


def hide_docker():
    """In a container upstream calls kpartx in another way."""
    exists = os.path.exists
    os.path.exists = lambda path: path != "/.dockerenv" and exists(path)


def main():
    hide_docker()
    logging.disable(logging.NOTSET)
    logging.getLogger().addHandler(logging.NullHandler())
    uuid.uuid4 = lambda: UUID
    json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)


main()
