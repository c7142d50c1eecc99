"""nodepool-builder from ZooKeeper's records to the files of images, with our
disk-image-create.

usage: nodepool_end_to_end.py WORK BIN ELEMENTS    (with nodepool's own python)

WORK is an empty directory of the caller's, BIN has our disk-image-create,
ELEMENTS our small elements. One nodepool-builder builds three images at once:

* good: its record and that of its upload to nodepool's fake cloud become ready;
  in the end `nodepool dib-image-delete` removes it;
* fails: a hook ends with status 3, the record is failed, nothing is left;
* hangs: a hook sleeps beyond build-timeout, nodepool kills the build, the
  record is failed, nothing is left.

ZooKeeper and the builder listen on loopback only, or not at all, and are ended
by their process ids. Prints what took how long; fails with the logs' last lines.
"""

import contextlib
import io
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import traceback
import warnings

import yaml

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
from nodepool.cmd.nodepoolcmd import NodePoolCmd
from nodepool.zk import ZooKeeperClient, zookeeper

JARS = "/usr/share/java"
# The last moment in which the machine's other work may delay a step.
PATIENCE = 120
# nodepool looks at a silent build every 30 seconds.
BUILD_TIMEOUT = 10
# nodepool's janitor works every 60 seconds.
JANITOR = 60
HOOKS = {
    ("base", "README.rst"): "Stands in for upstream's base, which needs a distribution.\n",
    ("manifest", "cleanup.d/50-manifest"): '#!/bin/bash\nmkdir -p "$IMAGE_NAME.d"\n'
    'echo "$DIB_IMAGE_NAME" >"$IMAGE_NAME.d/name"\n',
    ("fails", "install.d/90-fail"): "#!/bin/bash\necho it fails\nexit 3\n",
    ("hangs", "install.d/90-hang"): "#!/bin/bash\nsetsid sleep 1000 &\necho it hangs\nsleep 1000\n",
}


def say(text):
    print(f"nodepool_end_to_end: {text}", file=sys.stderr, flush=True)


class Failure(Exception):
    """What is not as it should be."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def wait_for(what, limit, find):
    """What `find` gives once that is true."""
    deadline = time.monotonic() + limit
    while not (found := find()):
        check(time.monotonic() < deadline, f"not within {limit} s: {what}")
        time.sleep(0.2)
    return found


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, stderr=subprocess.DEVNULL)


def make_certificates(directory):
    """An authority, and a certificate of 127.0.0.1 for server and client."""
    directory.mkdir()
    key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
    openssl("req", "-x509", *key, "-subj", "/CN=authority",
            "-keyout", directory / "ca-key.pem", "-out", directory / "ca.pem")
    openssl("req", *key[:3], "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", directory / "key.pem", "-out", directory / "request.pem")
    openssl("x509", "-req", "-in", directory / "request.pem", "-copy_extensions", "copy",
            "-days", "2", "-CA", directory / "ca.pem", "-CAkey", directory / "ca-key.pem",
            "-CAcreateserial", "-out", directory / "certificate.pem")
    both = [directory / name for name in ("certificate.pem", "key.pem")]
    write(directory / "server.pem", "".join(file.read_text() for file in both))


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def listens(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


class Service:
    """A process of the test, ended when the block is left."""

    def __init__(self, name, command, work, environment):
        self.name = name
        self.log = work / f"{name}.log"
        self.command = command
        self.environment = environment

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL)
        return self

    def check_alive(self):
        check(self.process.poll() is None, f"{self.name} has ended: {self.process.returncode}")
        return True

    def end(self, number, limit):
        """Ends it in good order; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(limit)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def zookeeper_of(work, port):
    """Debian's ZooKeeper, for encrypted connections on loopback only."""
    certificates = work / "certificates"
    configuration = write(work / "zookeeper.cfg", f"""\
dataDir={work}/zookeeper
tickTime=500
secureClientPort={port}
secureClientPortAddress=127.0.0.1
serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory
ssl.keyStore.location={certificates}/server.pem
ssl.trustStore.location={certificates}/ca.pem
admin.enableServer=false
""")
    command = ["java", "-Xmx256m", "-cp", f"{work}:{JARS}/*",
               "org.apache.zookeeper.server.ZooKeeperServerMain", str(configuration)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(work)}
    return Service("zookeeper", command, work, environment)


def configure(work, port):
    """nodepool.yaml, as its documentation has one."""
    certificates = work / "certificates"
    image = {"formats": ["qcow2", "raw"], "username": "zuul", "rebuild-age": 86400}
    images = {"good": ["safedib-fake-os", "manifest"], "fails": ["safedib-fake-os", "fails"],
              "hangs": ["safedib-fake-os", "hangs"]}
    configuration = {
        "images-dir": str(work / "images"),
        "build-log-dir": str(work / "logs"),
        "elements-dir": str(work / "elements"),
        "zookeeper-servers": [{"host": "127.0.0.1", "port": port}],
        "zookeeper-tls": {"cert": str(certificates / "certificate.pem"),
                          "key": str(certificates / "key.pem"),
                          "ca": str(certificates / "ca.pem")},
        "labels": [{"name": name} for name in images],
        "diskimages": [{"name": name, "elements": elements,
                        "build-timeout": BUILD_TIMEOUT if name == "hangs" else 600, **image}
                       for name, elements in images.items()],
        "providers": [{"name": "fake-provider", "driver": "fake", "region-name": "fake-region",
                       "diskimages": [{"name": name} for name in images],
                       "pools": [{"name": "main", "max-servers": 1, "labels": [
                           {"name": name, "diskimage": name, "min-ram": 1} for name in images]}]}],
    }
    return write(work / "nodepool.yaml", yaml.safe_dump(configuration))


def builder_of(work, commands, configuration):
    """nodepool-builder, with our commands first on its PATH."""
    environment = {
        "PATH": f"{commands}:/usr/bin:/bin", "HOME": str(work / "home"), "LANG": "C.UTF-8",
        "TMP_DIR": str(work / "tmp"), "SAFEDIB_TEST_ID": str(work),
    }
    program = pathlib.Path(sys.prefix, "bin", "nodepool-builder")
    command = [sys.executable, "-B", str(program), "-f", "-c", str(configuration),
               "--build-workers", "3"]
    return Service("nodepool-builder", command, work, environment)


def nodepool(configuration, *words):
    """What the command `nodepool` prints."""
    printed = io.StringIO()
    # Of what it is called with it reads nothing but this.
    sys.argv = ["nodepool", "-c", str(configuration), *words]
    with contextlib.redirect_stdout(printed):
        NodePoolCmd.main()
    return printed.getvalue()


def leftovers(work, builder):
    """What builds have left, beside images."""
    home = work / "home"
    left = [*work.glob("tmp/*"), *work.glob("images/.*"), *home.glob(".cache/image-create/.safedib*"),
            *home.glob(".cache/safedib/builds/*")]
    for entry in os.scandir("/proc"):
        with contextlib.suppress(OSError):
            variables = pathlib.Path(entry.path, "environ").read_bytes().split(b"\0")
            ours = f"SAFEDIB_TEST_ID={work}".encode() in variables
            if ours and entry.name != str(builder.process.pid):
                left.append(pathlib.Path(entry.path, "cmdline").read_text())
    mounts = pathlib.Path("/proc/self/mounts").read_text()
    return left + [line for line in mounts.splitlines() if str(work) in line]


def files_of(work, image, build):
    return sorted(path.name for path in (work / "images").glob(f"{image}-{build}*"))


class Test:
    """One run: records, files, and what is said of them."""

    def __init__(self, work, configuration, zk, builder):
        self.work, self.configuration, self.zk, self.builder = work, configuration, zk, builder
        self.began = time.monotonic()

    def told(self, what):
        say(f"{what} after {time.monotonic() - self.began:.0f} s")

    def build(self, image, state):
        """The first build of an image in a state."""
        def find():
            self.builder.check_alive()
            builds = [build for build in self.zk.getBuilds(image) if build.state == state]
            return min(builds, key=lambda build: build.state_time, default=None)
        return wait_for(f"a build of {image} that is {state}", PATIENCE, find)

    def good_is_ready(self):
        """The record, the upload's, and the files."""
        build = self.build("good", zookeeper.READY)
        self.told("the image is ready")
        check(sorted(build.formats) == ["qcow2", "raw"], build.formats)
        endings = ["d"] + [f"{kind}{end}" for kind in ("qcow2", "raw")
                           for end in ("", ".md5", ".sha256")]
        base = f"good-{build.id}"
        files = files_of(self.work, "good", build.id)
        check(files == [f"{base}.{ending}" for ending in endings], f"files: {files}")
        image = self.work / "images" / f"{base}.qcow2"
        facts = subprocess.run(["qemu-img", "info", image], check=True, text=True,
                               stdout=subprocess.PIPE).stdout
        check("compat: 0.10" in facts, facts)
        check(image.stat().st_uid == os.getuid() and stat.S_ISREG(image.stat().st_mode), image)
        manifest = (image.with_suffix(".d") / "name").read_text()
        check(manifest == "good\n", f"DIB_IMAGE_NAME was {manifest}")
        upload = wait_for("an upload that is ready", PATIENCE, lambda: self.zk.getUploads(
            "good", build.id, "fake-provider", [zookeeper.READY]))[0]
        self.told("the upload is ready")
        check(upload.format == "qcow2" and upload.external_id, upload)
        return build.id

    def failed(self, image, log_has, log_ends):
        """The record of a failed build, its log, and that nothing is left."""
        build = self.build(image, zookeeper.FAILED)
        self.told(f"{image} has failed")
        nodepool(self.configuration, "image-pause", image)
        log = (self.work / "logs" / f"{image}-{build.id}.log").read_text()
        check(log_has in log, f"no {log_has!r} in the log: {log[-2000:]}")
        check(log.endswith("Exit code: 3\n") == log_ends, f"the log ends with {log[-300:]!r}")

    def nothing_is_left(self):
        """Once no build runs any more."""
        def none_runs():
            all_builds = [build for image in self.zk.getImageNames()
                          for build in self.zk.getBuilds(image)]
            return all(build.state != zookeeper.BUILDING for build in all_builds)
        wait_for("the end of builds that had begun", PATIENCE, none_runs)
        wait_for("nothing is left", PATIENCE, lambda: not leftovers(self.work, self.builder))
        for image in ("fails", "hangs"):
            files = list((self.work / "images").glob(f"*{image}*"))
            check(not files, f"left: {files}")
        self.told("nothing is left of failed builds")

    def listed(self, build):
        """What nodepool's command says of the builds."""
        lines = nodepool(self.configuration, "dib-image-list").splitlines()
        line = [line for line in lines if f"good-{build}" in line]
        check(line and "| ready" in line[0], lines)
        lines = nodepool(self.configuration, "image-list").splitlines()
        line = [line for line in lines if build in line and "fake-provider" in line]
        check(line and "| ready" in line[0], lines)

    def deleted(self, build):
        """By nodepool's command: record, upload and files."""
        nodepool(self.configuration, "image-pause", "good")
        nodepool(self.configuration, "dib-image-delete", f"good-{build}")
        wait_for("the end of the record", JANITOR + PATIENCE,
                 lambda: not self.zk.getBuild("good", build))
        wait_for("the end of the files", JANITOR + PATIENCE,
                 lambda: not files_of(self.work, "good", build))
        check(not self.zk.getUploads("good", build, "fake-provider"), "the upload's record stays")
        self.told("the image is deleted")

    def run(self):
        # What is looked for in the end can be seen.
        wait_for("traces of a build", PATIENCE, lambda: leftovers(self.work, self.builder))
        build = self.good_is_ready()
        self.listed(build)
        self.failed("fails", "90-fail", log_ends=True)
        self.failed("hangs", "it hangs", log_ends=False)
        said = self.builder.log.read_text()
        check("Build timeout for image hangs" in said, "nodepool does not tell of a time-out")
        self.nothing_is_left()
        self.deleted(build)


def main():
    work, commands, elements = map(pathlib.Path, sys.argv[1:])
    for name in ("home", "tmp", "images", "logs"):
        (work / name).mkdir()
    os.environ["HOME"] = str(work / "home")
    for (element, file), text in HOOKS.items():
        write(work / "elements" / element / file, text).chmod(0o755)
    shutil.copytree(elements / "safedib-fake-os", work / "elements" / "safedib-fake-os")
    make_certificates(work / "certificates")
    port = free_port()
    configuration = configure(work, port)
    began = time.monotonic()
    services = []
    try:
        with zookeeper_of(work, port) as zookeeper_service:
            services.append(zookeeper_service)
            wait_for("ZooKeeper listens", PATIENCE,
                     lambda: zookeeper_service.check_alive() and listens(port))
            say(f"ZooKeeper listens after {time.monotonic() - began:.0f} s")
            certificates = work / "certificates"
            client = ZooKeeperClient(f"127.0.0.1:{port}", tls_ca=str(certificates / "ca.pem"),
                                     tls_cert=str(certificates / "certificate.pem"),
                                     tls_key=str(certificates / "key.pem"))
            client.connect()
            with builder_of(work, commands, configuration) as builder:
                services.append(builder)
                zk = zookeeper.ZooKeeper(client, enable_cache=False)
                Test(work, configuration, zk, builder).run()
                status = builder.end(signal.SIGINT, PATIENCE)
                check(status == 0, f"nodepool-builder ended with status {status}")
            client.disconnect()
    except Exception:
        for service in services:
            lines = service.log.read_text(errors="replace").splitlines()[-30:]
            print(f"== {service.log}", *lines, sep="\n", file=sys.stderr)
        raise
    say("nodepool-builder: ready, failed, timed out and deleted as it should be")


if __name__ == "__main__":
    STATUS = 1
    try:
        main()
        STATUS = 0
    except Failure as failure:
        say(failure)
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    # A thread of ZooKeeper's client tries for ever to reach what has ended.
    os._exit(STATUS)
