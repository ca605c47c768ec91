"""Real servers of buckets on loopback: fake-gcs-server (`gs://`), versitygw (`s3://`) and Azurite (`az://`).

Each is found on PATH or in `.tools`, where `make tools` puts them; what is missing there is built once, with Go or npm, or runs as a container where
Docker runs. What cannot be had skips its tests with the reason, and fails them where `CI=true`.
"""

import base64
import contextlib
import datetime as dt
import fcntl
import functools
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import pytest

from tapedeck_testing.free_ports import free_port

REPO = Path(__file__).parents[3]
TOOLS = REPO / ".tools"
START_DEADLINE_S = 60.0
BUILD_DEADLINE_S = 900
_GO = {
    "fake-gcs-server": "github.com/fsouza/fake-gcs-server",
    "versitygw": "github.com/versity/versitygw/cmd/versitygw",
}
_BINARIES = TOOLS / "bin"
_AZURITE = TOOLS / "azurite"
_NODE_BINARIES = _AZURITE / "node_modules" / ".bin"


def missing(what: str) -> None:
    """Skips the test, or fails it where everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; CI must have it")
    pytest.skip(what)


@functools.cache
def binary(name: str) -> str | None:
    """The path of a server, built if that is possible; None where it is neither found nor built."""
    folder = f"{_BINARIES}{os.pathsep}{_NODE_BINARIES}"
    if found := shutil.which(name) or shutil.which(name, path=folder):
        return found
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs may want it at once
        if not shutil.which(name, path=folder):
            _build(name)
    return shutil.which(name, path=folder)


@functools.cache
def docker_runs() -> bool:
    """Whether an engine answers, not only a client is installed."""
    found = shutil.which("docker")
    return (
        found is not None
        and subprocess.run([found, "info"], capture_output=True, check=False).returncode == 0
    )


def _build(name: str) -> None:
    """Without network nothing is built: then the tests say what is missing."""
    if name in _GO and shutil.which("go"):
        command = ["go", "-C", str(REPO / "tools"), "install", _GO[name]]
        subprocess.run(
            command, env=os.environ | {"GOBIN": str(_BINARIES)}, check=False, timeout=BUILD_DEADLINE_S
        )
    elif name not in _GO and shutil.which("npm") and shutil.which("make"):
        subprocess.run(
            ["make", "-C", str(REPO), ".tools/azurite/.ready"], check=False, timeout=BUILD_DEADLINE_S
        )


class BucketServer:
    """One server in a directory of its own: it can be killed, and comes back on the same port with what it had."""

    program: ClassVar[str]
    scheme: ClassVar[str]
    healthy: ClassVar[str]
    """Path that answers, with whatever status, once the server works."""
    image: ClassVar[str]
    """The same program as a container."""

    def __init__(self, directory: Path, *, lasting: bool = False) -> None:
        self.directory = directory
        self.lasting = lasting
        """What it holds survives a kill, where that has to be asked for."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def started(cls, directory: Path, *, lasting: bool = False) -> Self:
        """A server that answers. Skips the test where neither program nor container can be had."""
        server = cls(directory, lasting=lasting)
        if binary(cls.program) is None and not docker_runs():
            missing(
                f"no {cls.program} on PATH or in .tools, nothing to build it with (make tools), and no Docker"
            )
        server.start()
        return server

    def arguments(self) -> list[str]:
        """Its command line, without the program."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """What the server needs in its environment."""
        return {}

    def settings(self, url: str = "") -> Mapping[str, str]:
        """Environment of a client that speaks to this server, or to `url` before it."""
        raise NotImplementedError

    def make_bucket(self) -> str:
        """The name of a new bucket."""
        raise NotImplementedError

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        log = self.directory.parent / f"{self.directory.name}.log"
        environment = os.environ | self.environment()
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                self._command(), env=environment, cwd=self.directory, stdout=out, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{self.program} does not answer at {self.url}: {log.read_text()[-500:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends it at once, in the middle of whatever it does."""
        if binary(self.program) is None:
            pytest.skip(f"{self.program} runs as a container here: its client can be killed, not the server")
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it."""
        self._end(signal.SIGTERM)

    def _command(self) -> list[str]:
        if path := binary(self.program):
            return [path, *self.arguments()]
        names = [f"--env={name}" for name in self.environment()]
        where = f"--volume={self.directory}:{self.directory}"
        return [
            "docker",
            "run",
            "--rm",
            "--init",
            "--network=host",
            where,
            *names,
            self.image,
            *self.arguments(),
        ]

    def _end(self, how: int) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def _answers(self) -> bool:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(line), contextlib.suppress(OSError, http.client.HTTPException):
            line.request("GET", self.healthy)
            return line.getresponse().status > 0
        return False


class GcsServer(BucketServer):
    """fake-gcs-server: preconditions on uploads are honoured, on rewrites they are not (1.56). On disk it keeps less metadata than in memory."""

    program = "fake-gcs-server"
    image = "fsouza/fake-gcs-server:1.56.1"
    scheme = "gs"
    healthy = "/_internal/healthcheck"

    def arguments(self) -> list[str]:
        """See BucketServer."""
        return [
            *("-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port), "-external-url", self.url),
            *("-public-host", f"127.0.0.1:{self.port}", "-log-level", "warn"),
            *(
                "-backend",
                "filesystem" if self.lasting else "memory",
                "-filesystem-root",
                str(self.directory),
            ),
        ]

    def settings(self, url: str = "") -> Mapping[str, str]:
        """See BucketServer."""
        return {"STORAGE_EMULATOR_HOST": url or self.url}

    def make_bucket(self) -> str:
        """See BucketServer."""
        name = _new_name()
        _ask(
            "POST",
            f"{self.url}/storage/v1/b?project=test",
            {"Content-Type": "application/json"},
            {"name": name},
        )
        return name


class S3Server(BucketServer):
    """versitygw over a folder: honours `If-None-Match` on PutObject, not on CopyObject (1.8); keeps 2 KB of metadata, as Amazon does."""

    program = "versitygw"
    image = "versity/versitygw:v1.8.0"
    scheme = "s3"
    healthy = "/health"
    key_id: ClassVar[str] = "tapedeck"
    secret: ClassVar[str] = "tapedeck-tests"

    def arguments(self) -> list[str]:
        """See BucketServer."""
        return [
            *("--port", f"127.0.0.1:{self.port}", "--keep-alive", "--quiet", "--health", "/health"),
            *("posix", str(self.directory)),
        ]

    def environment(self) -> Mapping[str, str]:
        """See BucketServer."""
        return {"ROOT_ACCESS_KEY": self.key_id, "ROOT_SECRET_KEY": self.secret}

    def settings(self, url: str = "") -> Mapping[str, str]:
        """See BucketServer."""
        return {
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url or self.url,
        }

    def make_bucket(self) -> str:
        """See BucketServer. A folder is a bucket."""
        name = _new_name()
        (self.directory / name).mkdir()
        return name

    def stop(self) -> None:
        """Ends it at once: asked to end, it waits ten seconds for connections that are kept open. What it has said is on disk."""
        self._end(signal.SIGTERM if binary(self.program) is None else signal.SIGKILL)


class AzServer(BucketServer):
    """Azurite, Microsoft's own emulator: it takes metadata of any size and key, and knows no `startFrom` in listings (3.37)."""

    program = "azurite-blob"
    image = "mcr.microsoft.com/azure-storage/azurite:3.37.0"
    scheme = "az"
    healthy = "/"
    account: ClassVar[str] = "tapedecktests"
    key: ClassVar[str] = base64.b64encode(b"the tests of tapedeck on loopback").decode()

    def arguments(self) -> list[str]:
        """See BucketServer."""
        return [
            *("--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", str(self.directory)),
            *("--silent", "--disableTelemetry", "--skipApiVersionCheck"),
        ]

    def environment(self) -> Mapping[str, str]:
        """See BucketServer."""
        return {"AZURITE_ACCOUNTS": f"{self.account}:{self.key}"}

    def settings(self, url: str = "") -> Mapping[str, str]:
        """See BucketServer."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": self.account,
            "AZURE_STORAGE_ACCOUNT_KEY": self.key,
            "AZURE_STORAGE_ENDPOINT": f"{url or self.url}/{self.account}",
        }

    def make_bucket(self) -> str:
        """See BucketServer. Signed as "Authorize with Shared Key" says."""
        name = _new_name()
        now = dt.datetime.now(dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-date": now, "x-ms-version": "2021-08-06"}
        named = "\n".join(f"{key}:{value}" for key, value in headers.items())
        empty = "\n" * 12  # headers that are signed, and not sent
        signed = f"PUT{empty}{named}\n/{self.account}/{self.account}/{name}\nrestype:container"
        mac = hmac.new(base64.b64decode(self.key), signed.encode(), hashlib.sha256)
        headers["Authorization"] = f"SharedKey {self.account}:{base64.b64encode(mac.digest()).decode()}"
        _ask("PUT", f"{self.url}/{self.account}/{name}?restype=container", headers)
        return name

    def signature(self, permissions: str = "rwdlac") -> str:
        """A shared access signature of the account, good for a day ("Create an account SAS", version 2019-12-12)."""
        until = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        signed = f"{self.account}\n{permissions}\nb\nsco\n\n{until}\n\nhttps,http\n2019-12-12\n"
        mac = hmac.new(base64.b64decode(self.key), signed.encode(), hashlib.sha256)
        fields = {
            "sv": "2019-12-12",
            "ss": "b",
            "srt": "sco",
            "sp": permissions,
            "se": until,
            "spr": "https,http",
        }
        return urllib.parse.urlencode(fields | {"sig": base64.b64encode(mac.digest()).decode()})


SERVERS: Mapping[str, type[BucketServer]] = {
    server.scheme: server for server in (GcsServer, S3Server, AzServer)
}


def _new_name() -> str:
    return f"bucket-{uuid.uuid4().hex[:12]}"


def _ask(method: str, url: str, headers: Mapping[str, str], body: object = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"Content-Length": str(len(data or b""))} | dict(headers), method=method
    )
    with urllib.request.urlopen(request, timeout=10):
        pass
