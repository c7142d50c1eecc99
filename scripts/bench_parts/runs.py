"""Runs jobs in rounds, and keeps what they took."""

import subprocess
import sys

from . import floors, stages
from .cases import FLOOR, OURS
from .measure import BuildFailed, measure


def say(text):
    """Tells what goes on."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def record(figures):
    """A run as JSON has it."""
    return {
        "seconds": figures.seconds,
        "cpu": figures.cpu,
        "device_bytes": figures.device_bytes,
        "others": figures.others,
        "stages": stages.stages(figures.log, figures.began, figures.seconds),
        "tree": stages.tree_seconds(figures.log),
    }


class Runs:
    """All results by the keys of jobs."""

    def __init__(self, place, count, mmdebstrap=None):
        self.place = place
        self.count = count
        self.mmdebstrap = mmdebstrap
        self.results = {}
        self.memory = {}
        self.failed = {}
        self.notes = []

    def group(self, jobs):
        """Runs each job once for its caches and its memory, then all by turns."""
        wants_floors = any(job.side == FLOOR for job in jobs)
        for job in jobs:
            if job.side != FLOOR:
                self.guarded(job, lambda job=job: self.warm(job, wants_floors))
        for number in range(self.count):
            for job in jobs:
                self.guarded(job, lambda job=job, stamp=str(number + 1): self.timed(job, stamp))

    def guarded(self, job, action):
        """Does something with a job that has not failed yet."""
        if job.key in self.failed:
            return
        try:
            action()
        except (BuildFailed, subprocess.CalledProcessError) as error:
            self.failed[job.key] = str(error)
            say(f"{job.key} failed: {error}")
        finally:
            self.place.drop_builds()

    def warm(self, job, wants_floors):
        """The run that is not counted: fills caches, and is looked at for memory."""
        binary = self.place.binary if job.side == OURS else None
        figures = measure(self.place.commands(job), self.place.work, binary)
        say(f"{job.key}: {figures.seconds:.2f} s, not counted")
        if binary:
            self.memory[job.key] = {"sum": figures.memory, "largest": figures.largest}
        if job.kept and wants_floors and job.side == OURS:
            try:
                floors.keep(self.place, job)
            except (OSError, subprocess.CalledProcessError) as error:
                self.notes.append(f"floors of {job.name}: {error}")

    def timed(self, job, stamp, extra=None):
        """A run that counts."""
        if job.side == FLOOR:
            command = floors.command(self.place, job, self.mmdebstrap)
            if command is None:
                self.failed[job.key] = "no mmdebstrap, or no image to take the packages from"
                return
            commands = [command]
        else:
            if job.late:
                self.place.change_late(stamp)
            commands = self.place.commands(job, extra)
        result = record(measure(commands, self.place.work))
        self.results.setdefault(job.key, []).append(result)
        say(f"{job.key}: {result['seconds']:.2f} s")
