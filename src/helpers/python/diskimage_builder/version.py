"""The version of diskimage-builder whose behaviour this build has."""

VERSION = "3.43.0"


class VersionInfo:
    """The calls of pbr's class of this name that print a version."""

    def __init__(self, package):
        self.package = package

    def version_string(self):
        """Return the version."""
        return VERSION

    release_string = version_string
    cached_version_string = version_string

    def __str__(self):
        return VERSION


version_info = VersionInfo("diskimage-builder")
