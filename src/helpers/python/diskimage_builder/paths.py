"""Where the elements and the helper scripts of this build are."""

import os
import sys


def get_path(var):
    """Return the directory of the built-in "elements", or "lib"."""
    if var == "lib":
        return os.environ.get("_LIB", "/run/safedib/lib")
    if var == "elements":
        # The built-in directory is always the last one that is searched.
        last = os.environ.get("ELEMENTS_PATH", "").split(":")[-1]
        return os.environ.get("_BASE_ELEMENT_DIR", last)
    print("Unknown path request!")
    sys.exit(1)


def show_path(var):
    """Print what get_path returns."""
    print(get_path(var))
