"""Stand-in for setuptools' PEP 517 backend; pip may also name it `__legacy__`."""

import sdist_metadata as __legacy__  # noqa: F401
from sdist_metadata import *  # noqa: F401,F403
