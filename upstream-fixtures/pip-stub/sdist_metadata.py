"""PEP 517 hooks that answer with an sdist's own PKG-INFO and build nothing."""

import email
import os
import shutil


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    with open("PKG-INFO", encoding="utf-8", errors="replace") as stream:
        header = email.message_from_file(stream)
    name = "%s-%s.dist-info" % (header["Name"].replace("-", "_"), header["Version"])
    folder = os.path.join(metadata_directory, name)
    os.makedirs(folder)
    shutil.copy("PKG-INFO", os.path.join(folder, "METADATA"))
    return name
