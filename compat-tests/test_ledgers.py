"""Tests of how functests, unittests and foreign compare results with their ledgers."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import tempfile
import unittest
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))


def load(name):
    """A program of this directory, as a module."""
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(HERE, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


functests = load("functests")
unittests = load("unittests")
foreign = load("foreign")


def line(**fields):
    given = {"case": "a/b", "expected": "pass", "needs": "-", "when": "ci", "upstream": "-",
             "reason": ""}
    return {**given, **fields}


class LedgerTest(unittest.TestCase):
    """What a ledger may hold."""

    def read(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
            file.write(text)
            file.flush()
            return functests.read_ledger(file.name)

    def test_ours_is_right(self):
        self.assertGreater(len(functests.read_ledger()), 56)
        self.assertGreater(len(unittests.read_ledger()), 70)

    def test_lines(self):
        self.assertIsNone(functests.wrong(line()))
        self.assertIsNone(functests.wrong(line(expected="skip", reason="missing: a registry")))
        for fields in [{"expected": "perhaps"}, {"expected": "skip"}, {"expected": "fail"},
                       {"when": "never"}, {"upstream": "no"}, {"reason": None},
                       {"expected": "skip", "reason": "not implemented yet"}]:
            self.assertIsNotNone(functests.wrong(line(**fields)), fields)

    def test_file(self):
        head = "\t".join(functests.TABLE) + "\n"
        good = "a/b\tpass\t-\tci\t-\t\n"
        self.assertEqual(list(self.read(head + good)), ["a/b"])
        for text in [good, head + good + good, head + "a/b\tpass\n", head + "a\tskip\t-\tci\t-\t\n"]:
            with self.assertRaises(SystemExit):
                self.read(text)


class JudgeTest(unittest.TestCase):
    """Results against what is expected."""

    def judge(self, result, ci="", **fields):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), mock.patch.dict(os.environ, CI=ci):
            good = functests.judge({"a/b": result}, {"a/b": line(**fields)}, "expected")
        return good, said.getvalue()

    def test_as_expected(self):
        self.assertEqual(self.judge("pass"), (True, ""))
        self.assertEqual(self.judge("fail", expected="fail", reason="x"), (True, ""))
        self.assertEqual(self.judge("fail", expected="skip", reason="x"), (True, ""))

    def test_unexpected(self):
        self.assertFalse(self.judge("fail")[0])
        self.assertFalse(self.judge("pass", expected="fail", reason="x")[0])
        good, said = self.judge("pass", expected="skip", reason="missing: x")
        self.assertTrue(good)
        self.assertIn("passes, which the ledger does not expect: missing: x", said)

    def test_out_of_reach(self):
        for ci, needs, expected in [("", "debian/stable", True), ("true", "debian/stable", False),
                                    ("true", "ubuntu/jammy", True)]:
            good, said = self.judge("missing", ci=ci, needs=needs)
            self.assertEqual(good, expected, (ci, needs))
            self.assertIn(f"{needs} is not in reach", said)

    def test_lists(self):
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertTrue(functests.check_list({"a/b": line()}, ["a/b"]))
            self.assertFalse(functests.check_list({"a/b": line()}, ["a/b", "a/c"]))
            self.assertFalse(functests.check_list({"a/b": line()}, []))


class UnitTest(unittest.TestCase):
    """Upstream's unit cases against their lines."""

    def test_ways(self):
        good = {"passed": True, "called": 1, "why": ""}
        idle = {**good, "called": 0}
        bad = {"passed": False, "called": 1, "why": "x"}
        covered = {"way": "covered", "by": "src/blockdev/size.rs::sizes_of_upstream (all)"}
        shim = {"way": "shim", "by": ""}
        upstream = {"way": "upstream", "by": "proof"}
        for row, alone, shimmed, right in [
            (shim, good, good, True), (shim, good, bad, False), (shim, good, idle, False),
            (shim, bad, good, False), (covered, good, bad, True),
            ({**covered, "by": "src/blockdev/size.rs::none"}, good, idle, False),
            ({**covered, "by": ""}, good, idle, False), (upstream, bad, bad, True),
            (upstream, good, bad, False), ({"way": "python", "by": ""}, good, idle, False),
        ]:
            self.assertEqual(unittests.complaint(row, alone, shimmed) is None, right, row)


class ForeignTest(unittest.TestCase):
    """Other people's elements against their lines."""

    ROW = {"repository": "octavia", "element": "sos", "result": "built", "build": "amphora",
           "trace": "usr/bin/sos", "reason": ""}

    def test_ours_has_every_element(self):
        self.assertTrue(foreign.check_list(foreign.read_ledger()))

    def test_lines(self):
        self.assertIsNone(foreign.wrong(self.ROW))
        planned = {**self.ROW, "result": "planned", "build": "-", "trace": "-",
                   "reason": "missing: an archive"}
        self.assertIsNone(foreign.wrong(planned))
        for row in [{**self.ROW, "result": "skipped"}, {**self.ROW, "build": "-"},
                    {**self.ROW, "trace": ""}, {**self.ROW, "trace": "-"},
                    {**planned, "reason": ""}, {**planned, "build": "amphora"},
                    {**self.ROW, "reason": None}]:
            self.assertIsNotNone(foreign.wrong(row), row)

    def test_elements_and_lines(self):
        ledger = foreign.read_ledger()
        del ledger["octavia", "sos"]
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertFalse(foreign.check_list(ledger))
        self.assertIn("octavia/sos: no line", said.getvalue())

    def test_traces(self):
        build = mock.Mock()
        build.name = "amphora"
        for log, names, right in [("sos base", {"usr/bin/sos"}, True), ("sos base", set(), False),
                                  ("base", {"usr/bin/sos"}, False)]:
            build.log.return_value = f"x\nExpanded element dependencies to: {log}\n"
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(foreign.traces(build, [self.ROW], names), right, (log, names))


if __name__ == "__main__":
    unittest.main()
