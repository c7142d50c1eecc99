"""Logging of element scripts: `LEVEL name [-] message` on standard error."""

import json
import logging
import logging.config
import os


class DibFormatter(logging.Formatter):
    """Adds where a message comes from to those of level DEBUG."""

    SUFFIX = " %(funcName)s %(pathname)s:%(lineno)d"

    def __init__(self, fmt="%(levelname)s %(name)s [-] %(message)s",
                 debug_suffix=SUFFIX, **kwargs):
        super().__init__(fmt, **kwargs)
        self._debug = logging.Formatter(fmt + debug_suffix, **kwargs)

    def format(self, record):
        """Format one record."""
        if record.levelno == logging.DEBUG:
            return self._debug.format(record)
        return super().format(record)


def setup():
    """Set logging up; DIB_PYTHON_LOGGING_CONFIG_FILE replaces all of it."""
    path = os.environ.get("DIB_PYTHON_LOGGING_CONFIG_FILE")
    if path is not None:
        with open(path) as config:
            logging.config.dictConfig(json.load(config))
        return
    traced = int(os.environ.get("DIB_DEBUG_TRACE", "0")) > 0
    handler = logging.StreamHandler()
    handler.setFormatter(DibFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if traced else logging.INFO)
