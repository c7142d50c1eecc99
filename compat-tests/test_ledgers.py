"""Tests of how functests and unittests compare results with their ledgers."""

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


if __name__ == "__main__":
    unittest.main()
