"""Runs nodepool's own code over our disk-image-create.

usage: nodepool_build.py NODEPOOL IMAGES LOGS NAME BUILD TYPES ELEMENTS COMMAND

NODEPOOL is nodepool's source tree. Its `BuildWorker._buildImage` builds the
image NAME-BUILD of TYPES (a comma list) from ELEMENTS in the directory IMAGES
with COMMAND, our disk-image-create, and writes its log to LOGS. Prints as JSON what it thinks of the build, and what
`DibImageFile` finds; `CleanupWorker.deleteLocalBuild` then removes the build.
Modules that builder.py imports and that a build does not use are empty here:
they need ZooKeeper and the SDKs of clouds.
"""

import json
import logging
import os
import sys
import types
from unittest import mock

tree, images, logs, name, build, kinds, elements, command = sys.argv[1:]


class Record:
    """A build as it is stored."""

    def __init__(self, image):
        self.image = image


def stand_in(module, **content):
    """Puts a module of this name in place of the real one."""
    found = types.ModuleType(module)
    found.__dict__.update(content)
    found.__path__ = []
    sys.modules[module] = found
    return found


package = stand_in("nodepool")
package.__path__ = [os.path.join(tree, "nodepool")]
for part in ("config", "exceptions", "provider_manager", "stats"):
    setattr(package, part, stand_in("nodepool." + part))
package.exceptions.BuilderError = RuntimeError
zookeeper = types.SimpleNamespace(ImageBuild=Record, FAILED="failed", READY="ready")
stand_in("nodepool.zk", zookeeper=zookeeper, ZooKeeperClient=None)
stand_in("nodepool.zk.components", BuilderComponent=None)
stand_in("nodepool.version", get_version_string=None)

from nodepool import builder  # noqa: E402

image = types.SimpleNamespace(
    name=name,
    release="",
    env_vars={"OF": "nodepool"},
    elements=elements,
    image_types=set(kinds.split(",")),
    dib_cmd=command,
    build_timeout=600,
    username="zuul",
    python_path="auto",
    shell_type=None,
)
worker = mock.Mock(spec=builder.BuildWorker)
worker._config = types.SimpleNamespace(images_dir=images, elements_dir=None)
worker._zk = types.SimpleNamespace(suspended=False, lost=False)
worker._statsd = None
worker._lost_zk_connection = False
worker._builder_id = worker._hostname = "here"
worker.log = logging.getLogger("nodepool")
worker._getBuildLog.return_value = os.path.join(logs, "build.log")

result = builder.BuildWorker._buildImage(worker, build, image)
found = {}
for file in builder.DibImageFile.from_image_id(images, f"{name}-{build}"):
    path = file.to_path(images)
    found[file.extension] = [path, file.md5, file.sha256]
builder.CleanupWorker.deleteLocalBuild(images, name, build, worker.log)
print(json.dumps({"state": result.state, "found": found, "left": os.listdir(images)}))
