"""PyYAML as scripts of 0.x and 1.x know it: load() without a Loader.

PyYAML 6 wants one. This module stands before the real one on the path of
those scripts, becomes it, and gives load() the loader that makes plain data.
"""

import importlib
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path
               if os.path.abspath(entry or ".") != _here]
del sys.modules["yaml"]
_real = importlib.import_module("yaml")


def _with_loader(function):
    def call(stream, Loader=_real.SafeLoader):
        return function(stream, Loader=Loader)
    return call


_real.load = _with_loader(_real.load)
_real.load_all = _with_loader(_real.load_all)
sys.modules["yaml"] = _real
