"""The images as far as they can be had without Docker: what deploy/docker/Dockerfile says is done in a folder, and run as it would be.

Owns how little of a Dockerfile is understood (stages, COPY from the context, ENV, `RUN … uv sync`, `RUN … slim.py`, CMD, USER), and the confinement: the image's user, no
capabilities, and a root that is read-only but for /tmp. As a program it prints how large each of them is: `python -m tapedeck_testing.images`.
"""

import copy
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
DOCKERFILE: Final = ROOT / "deploy/docker/Dockerfile"
BUILD_DEADLINE_S: Final = 110
_INSTALLED: Final = "/opt/tapedeck"
_READ_ONLY: Final = (
    "mount --make-rprivate / && mount -t tmpfs tmpfs /tmp && mount -o remount,bind,ro / && cd /tmp && exec "
)


@dataclass(slots=True)
class Stage:
    """One of a Dockerfile, with what it has from those that it is made from."""

    environ: dict[str, str] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    """What is copied from the context."""
    copied: dict[str, str] = field(default_factory=dict)
    """Path by the stage that it is copied from."""
    syncs: list[list[str]] = field(default_factory=list)
    """Every `uv sync`, word for word."""
    slims: list[list[str]] = field(default_factory=list)
    """Every call of slim.py, likewise."""
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    user: str = "root"

    def take(self, word: str, rest: str) -> None:
        """One more instruction."""
        match word:
            case "ENV":
                self.environ |= dict(pair.split("=", 1) for pair in rest.split())
            case "COPY" if rest.startswith("--from="):
                origin, path, _ = rest.removeprefix("--from=").split()
                if path == _INSTALLED:
                    self.copied[origin] = path
            case "COPY":
                self.sources += rest.split()[:-1]
            case "RUN":
                self._run(re.sub(r"--mount=\S+ ", "", rest).split())
            case "CMD":
                self.command = json.loads(rest)
            case "HEALTHCHECK":
                self.healthcheck = json.loads(rest.partition(" CMD ")[2])
            case "USER":
                self.user = rest
            case "WORKDIR" | "EXPOSE":
                pass
            case _:
                raise ValueError(f"Dockerfile: {word} is not understood")

    def _run(self, words: list[str]) -> None:
        if words[:2] == ["uv", "sync"]:
            self.syncs.append(words)
        elif "deploy/docker/slim.py" in words:
            self.slims.append(words)


def stages() -> dict[str, Stage]:
    """Every stage by name. ValueError for an instruction that is not understood."""
    found: dict[str, Stage] = {}
    stage = Stage()
    for line in DOCKERFILE.read_text(encoding="utf-8").splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, name = rest.split(" AS ")
            stage = found[name] = copy.deepcopy(found.get(base, Stage()))
        elif line and not line.startswith("#"):
            stage.take(word, rest)
    return found


@functools.cache
def can_confine() -> bool:
    """Whether this process may give another one a root of its own: as root, and where the machine lets it."""
    tools = shutil.which("unshare") and shutil.which("setpriv")
    if os.geteuid() != 0 or not tools:
        return False
    probe = ["unshare", "-m", "sh", "-c", f"{_READ_ONLY} true"]
    return subprocess.run(probe, capture_output=True, check=False, timeout=30).returncode == 0


def _python() -> str:
    """One that the image's user may run, too: a Python below /root is none."""
    return "/usr/bin/python3" if can_confine() and Path("/usr/bin/python3").exists() else sys.executable


class Image:
    """One target, installed in a folder that everybody may read."""

    def __init__(self, target: str, folder: Path, sources: Path) -> None:
        self.target = target
        self.stage = stages()[target]
        self.root = folder / target
        (origin,) = self.stage.copied
        built = stages()[origin]
        self.venv = self.root / _INSTALLED.lstrip("/")
        environ = {
            **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
            "UV_SYSTEM_CERTS": "1",
            **built.environ,
            "UV_PROJECT_ENVIRONMENT": str(self.venv),
            "UV_PYTHON": _python(),
            "UV_LINK_MODE": "hardlink",  # for the tests' speed: it changes nothing of what is installed
        }
        uv = shutil.which("uv", path=f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}")
        assert uv is not None
        for _, *arguments in built.syncs:
            _run([uv, *arguments], sources, environ)
        for _, *arguments in built.slims:
            _run(
                [_python(), *(one.replace(_INSTALLED, str(self.venv)) for one in arguments)], sources, environ
            )

    @property
    def packages(self) -> set[str]:
        """Names of the distributions in it."""
        found = self.venv.glob("lib/python*/site-packages/*.dist-info")
        return {path.name.split("-")[0].lower().replace("_", "-") for path in found}

    @property
    def mebibytes(self) -> float:
        """What it adds to Python's own image."""
        return _mebibytes(self.venv)

    def largest(self, count: int) -> list[tuple[str, float]]:
        """The packages that take most of it, and how many MiB."""
        (packages,) = self.venv.glob("lib/python3*/site-packages")
        sizes = ((path.name, _mebibytes(path)) for path in packages.iterdir())
        return sorted(sizes, key=lambda one: -one[1])[:count]

    def start(self, command: list[str], environ: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
        """Runs it as a container would, with nothing in its environment but the image's and this; its output goes to `log`."""
        own = {name: value.replace(_INSTALLED, str(self.venv)) for name, value in self.stage.environ.items()}
        words = [str(self.venv / "bin" / command[0]), *command[1:]]
        if can_confine():
            user, group = self.stage.user.split(":")
            drop = [f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
            drop += ["--bounding-set=-all", "--inh-caps=-all"]
            words = ["unshare", "-m", "sh", "-c", f'{_READ_ONLY} "$@"', "sh", "setpriv", *drop, "--", *words]
        with log.open("ab") as out:
            return subprocess.Popen(
                words, env={**own, **environ}, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd="/tmp"
            )


def _mebibytes(folder: Path) -> float:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 2**20


def _run(words: list[str], folder: Path, environ: Mapping[str, str]) -> None:
    """AssertionError, with what it said, where it fails."""
    done = subprocess.run(
        words, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=BUILD_DEADLINE_S
    )
    assert done.returncode == 0, done.stderr


def end(process: "subprocess.Popen[bytes]") -> int:
    """SIGTERM, as `docker stop` sends it; the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(30)


def sources_for_images(folder: Path) -> Path:
    """A copy of what the Dockerfile takes from the repository: files that git knows or would, without tests."""
    named = stages()["build"].sources
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *named],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    target = folder / "src"
    for name in filter(None, listed):
        path = ROOT / name
        if "tests" in Path(name).parts or not path.is_file():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)
    return target


def main() -> None:
    """MiB of Python in each image, and the largest parts of it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        sources = sources_for_images(folder)
        for target in (one for one, stage in stages().items() if stage.copied):
            image = Image(target, folder, sources)
            sys.stdout.write(f"{target:12} {image.mebibytes:6.0f} MiB:")
            for part, size in image.largest(6):
                sys.stdout.write(f" {part} {size:.0f}")
            sys.stdout.write("\n")


if __name__ == "__main__":
    main()
