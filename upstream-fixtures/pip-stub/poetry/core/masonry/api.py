"""Stand-in for poetry's PEP 517 backend."""

from sdist_metadata import *  # noqa: F401,F403
