"""Tests of what scripts/bench makes of what it measures, and of how it measures."""

import os
import shutil
import subprocess
import sys
import tempfile
import types
import unittest

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(REPO, "scripts"))

# pylint: disable=wrong-import-position
from bench_parts import cases, figures, floors, measure, place, report, stages  # noqa: E402

LOG = """\
no stamp
2026-11-28 15:00:01.000 | Building elements: x
2026-11-28 15:00:02.000 | Running hooks from /tmp/dib_build.x/hooks/root.d
2026-11-28 15:00:02.500 | dib-run-parts Running /tmp/dib_build.x/hooks/root.d/10-tree
2026-11-28 15:00:03.000 | safedib-tree: made in 0.250 s
2026-11-28 15:00:04.000 | dib-run-parts --------------------- END PROFILING ---------------------
2026-11-28 15:00:04.500 | dib-run-parts Running /tmp/in_target.d/install.d/10-x
2026-11-28 15:00:05.000 | dib-run-parts --------------------- END PROFILING ---------------------
2026-11-28 15:00:05.500 | Calculating image size (this may take a minute)...
2026-11-28 15:00:06.500 | Converting image using qemu-img convert
2026-11-28 15:00:09.500 | Image file image.qcow2 created...
"""
BEGAN = 1795878000.0  # 2026-11-28 15:00:00


def run(seconds, **others):
    """A result as runs.record makes it."""
    return {"seconds": seconds, "cpu": 1.0, "device_bytes": 1 << 20, "others": 0.1,
            "stages": {"start": seconds}, "tree": None, **others}


def runs(**results):
    """What Runs knows in the end; keys with two underscores for the colon."""
    keyed = {key.replace("__", ":").replace("_", "-"): value for key, value in results.items()}
    return types.SimpleNamespace(results=keyed, memory={}, failed={}, notes=[])


class FiguresTest(unittest.TestCase):
    """Medians, ratios, verdicts."""

    def test_median(self):
        self.assertEqual(figures.median([3, 1, 2]), 2)
        self.assertEqual(figures.median([4, 1]), 2.5)
        self.assertIsNone(figures.median([]))
        self.assertIsNone(figures.median([1, None, 2]))

    def test_ratio(self):
        self.assertEqual(figures.ratio(1, 4), 0.25)
        for ours, other in [(None, 1), (1, None), (1, 0)]:
            self.assertIsNone(figures.ratio(ours, other))

    def test_verdict(self):
        self.assertEqual(figures.verdict(0.10, 0.10), "met")
        self.assertEqual(figures.verdict(0.1001, 0.10), "missed")
        self.assertEqual(figures.verdict(0.2, 0.1, 1), "missed (of 1 run)")
        self.assertEqual(figures.verdict(0.1, 0.1, 2), "met (of 2 runs)")
        self.assertEqual(figures.verdict(None, 0.1), "not measured")

    def test_stages(self):
        found = figures.stages([{"stages": {"start": 1, "root": 5}}, {"stages": {"start": 3}},
                                {"stages": {"start": 2, "root": 4}}])
        self.assertEqual(found, {"start": 2, "root": 4})
        self.assertEqual(figures.stages([]), {})

    def test_linear(self):
        self.assertEqual(figures.linear([(1, 2), (2, 3), (10, 11)]), (1.0, "linear"))
        self.assertEqual(figures.linear([(1, 1), (2, 2), (4, 16)]), (7.0, "not linear"))
        self.assertEqual(figures.linear([(1, 1), (2, 2)])[1], "too few points")
        self.assertIn("noise", figures.linear([(1, 1), (2, 0.9), (3, 2)])[1])


class StagesTest(unittest.TestCase):
    """The log's stamps."""

    def test_stages_sum_up_to_the_whole(self):
        found = stages.stages(LOG, BEGAN, 10.0)
        names = ["start", "root", "engine", "install", "disk", "convert", "end"]
        self.assertEqual(list(found), names)
        for name, seconds in [("start", 2), ("root", 2), ("engine", 1), ("install", 0.5),
                              ("disk", 1), ("convert", 3), ("end", 0.5)]:
            self.assertAlmostEqual(found[name], seconds, msg=name)

    def test_without_a_log_all_is_start(self):
        self.assertEqual(stages.stages("", BEGAN, 3.0), {"start": 3.0})

    def test_tree(self):
        self.assertEqual(stages.tree_seconds(LOG), 0.25)
        self.assertIsNone(stages.tree_seconds("nothing"))


class CasesTest(unittest.TestCase):
    """Which jobs run, and which cases are refused."""

    def test_names(self):
        found, series = cases.chosen(["split", "scale-size"])
        self.assertEqual(([case.name for case in found], series), (["split"], ["scale-size"]))
        self.assertEqual(len(cases.chosen([])[0]), len(cases.CASES))
        with self.assertRaises(cases.Refused):
            cases.chosen(["splitt"])

    def test_what_the_command_lacks(self):
        good, refused = cases.possible(cases.CASES, "--image-size", [])
        self.assertEqual(len(good), len(cases.CASES) - 2)
        names = [text.split(":")[0] for text in refused]
        self.assertEqual(names, ["debian-again", "debian-late-hook"])
        self.assertEqual(cases.possible(cases.CASES, "--cache[=DIR]", [])[1], [])
        with self.assertRaisesRegex(cases.Refused, "debian-again: .*no --cache"):
            cases.possible(cases.CASES, "--image-size", ["debian-again"])

    def test_cases_with_a_job_in_common_alternate(self):
        names = ["debian-qcow2", "one-file-tar", "debian-again", "split", "at-once"]
        found, _ = cases.chosen(names)
        groups = [[job.key for job in group] for group in cases.rounds(found, True, False)]
        self.assertEqual(sorted(groups), [
            ["debian-qcow2:ours", "debian-qcow2:upstream", "debian-again:ours", "split:ours"],
            ["one-file-tar:ours", "one-file-tar:upstream", "at-once:ours"],
        ])
        ours = [job.key for group in cases.rounds(found, False, False) for job in group]
        self.assertFalse([key for key in ours if key.endswith(":upstream")])

    def test_floors_come_after_what_they_start_from(self):
        found, _ = cases.chosen(["one-file-qcow2"])
        keys = [job.key for job in cases.rounds(found, True, True)[0]]
        self.assertEqual(keys[0], "one-file-qcow2:ours")
        self.assertEqual(keys[-1], "one-file-qcow2/convert:floor")


class FloorsTest(unittest.TestCase):
    """What is read from an image."""

    def test_packages(self):
        status = ("Package: a\nEssential: yes\nStatus: install ok installed\n\n"
                  "Package: b\nStatus: deinstall ok config-files\nDescription: x\n"
                  " Status: install ok installed\n\n"
                  "Package: c-1.0\nStatus: hold ok installed\nVersion: 1\n")
        self.assertEqual(floors.packages(status), ["a", "c-1.0"])


class ReportTest(unittest.TestCase):
    """The tables."""

    CASES = cases.chosen(["one-file-tar", "one-file-qcow2"])[0]

    def made(self, known, rows=()):
        return report.Report(self.CASES, known, list(rows), {"runs": 3, "processors": 2})

    def test_bars(self):
        known = runs(one_file_tar__ours=[run(1), run(3), run(2)],
                     one_file_tar__upstream=[run(10), run(10), run(40)])
        text = self.made(known).markdown()
        self.assertIn("| 2.00 (1.00 to 3.00) | one-file-tar:upstream 10.00 (10.00 to 40.00) "
                      "| 0.200 | 0.10 | missed |", text)
        self.assertIn("| one-file-qcow2:upstream - | - | 0.12 | not measured |", text)
        self.assertIn("| one-file-tar:ours | start 2.00 |", text)

    def test_bounds(self):
        known = runs(one_file_tar__ours=[run(1)], one_file_tar__upstream=[run(10, device_bytes=1)])
        known.memory["one-file-tar:ours"] = {"sum": 151 << 20, "largest": 10 << 20}
        self.assertIn("| 151.0 (10.0) | missed | 1.0 / 0.0 | missed (of 1 run) |",
                      self.made(known).bounds())

    def test_others_can_only_add_to_what_was_written(self):
        known = runs(one_file_tar__ours=[run(1, device_bytes=size << 20) for size in (900, 3, 700)],
                     one_file_tar__upstream=[run(1, device_bytes=4 << 20)] * 3)
        self.assertIn("| 3.0 / 4.0 | met |", self.made(known).bounds())

    def test_a_busy_machine_is_told(self):
        self.assertNotIn("trust", self.made(runs(x__ours=[run(1, others=0.4)])).markdown())
        self.assertIn("do not trust", self.made(runs(x__ours=[run(1, others=0.41)])).markdown())

    def test_what_failed_has_no_figures(self):
        known = runs(one_file_tar__ours=[run(1)], one_file_tar__upstream=[run(10)])
        known.failed["one-file-tar:ours"] = "words: status 1\nthe log"
        made = self.made(known)
        self.assertEqual(made.judged(self.CASES[0]), (None, "not measured"))
        self.assertIn("- one-file-tar:ours: failed: words: status 1\n", made.markdown())

    def test_scale(self):
        rows = [{"series": "scale-files", "format": "tar", "amount": amount, "seconds": cost,
                 "tree": 0.0, "cost": cost, "runs": [run(cost)] * 3}
                for amount, cost in [(10, 1.0), (100, 10.0), (500, 90.0)]]
        text = self.made(runs(), rows).markdown()
        self.assertIn("| 100k files | 10.00 | 0.00 | 10.00 | 1.00 s/10k files | 1.00 |", text)
        self.assertIn("scale-files to tar: not linear; a unit of the last step costs 2.00 ", text)

    def test_json(self):
        known = runs(one_file_tar__ours=[run(1)], one_file_tar__upstream=[run(10)])
        found = self.made(known).json()["cases"][0]
        self.assertEqual((found["case"], found["ratio"]), ("one-file-tar", 0.1))


class MeasureTest(unittest.TestCase):
    """Real processes."""

    def measure(self, *programs, binary=None):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
            commands = [
                measure.Command([sys.executable, "-c", program], work, dict(os.environ),
                                os.path.join(work, f"log-{number}"))
                for number, program in enumerate(programs)
            ]
            return measure.measure(commands, work, binary)

    def test_commands_run_at_the_same_time(self):
        """Each waits for the other's file."""
        meet = ("import os, time; open('{}', 'w').close(); print('x', flush=True)\n"
                "while not os.path.exists('{}'): time.sleep(0.01)\ntime.sleep(0.2)")
        found = self.measure(meet.format("a", "b"), meet.format("b", "a"))
        self.assertGreaterEqual(found.seconds, 0.2)
        self.assertEqual(found.log, "x\n")
        self.assertIsNone(found.memory)

    def test_memory_is_that_of_one_binary(self):
        program = "x = bytearray(64 << 20)\nimport time; time.sleep(0.5)"
        found = self.measure(program, binary=sys.executable)
        self.assertGreater(found.memory, 64 << 20)
        self.assertIsNone(self.measure(program, binary="/bin/true").memory)

    def test_time_of_what_nobody_waits_for_counts(self):
        burn = "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
        found = self.measure(
            "import signal, subprocess, sys, time; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
            f"subprocess.Popen([sys.executable, '-c', {burn!r}]).wait()")
        if found.cpu is None:
            self.skipTest("no cgroup can be made here")
        self.assertGreaterEqual(found.cpu, 0.5)

    def test_a_failure_has_the_end_of_the_log(self):
        with self.assertRaisesRegex(measure.BuildFailed, "status 3\n(?s:.*)the reason"):
            self.measure("print('the reason'); raise SystemExit(3)")


class PlaceTest(unittest.TestCase):
    """Command lines and directories."""

    def setUp(self):
        self.place = object.__new__(place.Place)
        self.place.work, self.place.user = tempfile.mkdtemp(), None
        self.addCleanup(shutil.rmtree, self.place.work)

    def test_words(self):
        by_name = {case.name: case.job for case in cases.CASES}
        work = self.place.work
        self.assertEqual(self.place.words(by_name["debian-again"]), [
            f"{work}/bin/disk-image-create", f"--cache={work}/layers-again", "-o", "image",
            "-t", "qcow2", "debian-minimal"])
        self.assertTrue(os.path.isdir(f"{work}/layers-again"))
        self.assertEqual(self.place.words(cases.TAR_UPSTREAM)[:2], ["disk-image-create", "-o"])

    def test_the_late_hook_is_another_one_each_time(self):
        texts = set()
        for stamp in ("0", "1"):
            self.place.change_late(stamp)
            hook = self.place.path("elements/bench-late/install.d/99-bench-late")
            self.assertTrue(os.access(hook, os.X_OK))
            with open(hook, encoding="utf-8") as file:
                texts.add(file.read())
        self.assertEqual(len(texts), 2)

    def test_builds_go_and_the_rest_stays(self):
        for name in ("build-0", "build-1", "kept-x"):
            self.place.directory(name, cases.OURS)
        self.place.drop_builds()
        self.assertEqual(os.listdir(self.place.work), ["kept-x"])


class CommandTest(unittest.TestCase):
    """The command line."""

    def test_list_and_unknown_names(self):
        script = os.path.join(REPO, "scripts/bench")
        listed = subprocess.run([script, "--list"], stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(len(listed.stdout.splitlines()), len(cases.CASES) + len(cases.SCALE))
        wrong = subprocess.run([script, "nothing"], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("no case nothing", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
