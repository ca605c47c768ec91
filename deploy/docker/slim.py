# ruff: noqa: INP001 - a script of the images' build, no module
"""Takes out of an installed venv what no service runs: `python slim.py VENV TARGET`. The build ends where something that is left cannot be loaded.

Owns the lists. Files are replaced, never changed in place: they may be hard links into somebody's cache. Needs `strip` of binutils.

FFmpeg's encoders of video stay, though nobody calls them: Python binds every function of a library when it is loaded, and libavcodec names theirs.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

NOT_RUN: Final = (
    "*.pyi",
    "*.pyx",
    "*.pxd",
    "*.pxi",
    "*.pyx.in",
    "*.h",
    "*.hpp",
    "*.c",
    "*.cpp",
    "*.a",
    "_*tests.*.so",
    "_testcapi.*.so",
)
"""What type checkers and compilers read, and modules made for tests."""
NOT_IMPORTED: Final = (
    "**/tests",
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/_core/_simd.*",
    "numpy/_pyinstaller",
    "numpy/distutils",
    "numpy/f2py",
    "numpy/random",
    "numpy/testing",
    "openapi_ui_bundles/rapidoc/vendor",
    "openapi_ui_bundles/redoc/vendor",
)
"""numpy imports these only for who asks, and nothing here does; /docs is Swagger UI's."""
PUSHERS_LIBRARIES: Final = ("libopus", "libavutil", "libdrm", "libvpl")
"""Of the PyAV wheel: what encodes and decodes Opus, what makes the checksums of Ogg pages, and the two that the latter loads. PyAV itself it never imports."""

LOADING: Final = "import ctypes, sys\nfor path in sys.stdin.read().splitlines(): ctypes.CDLL(path)"


def main(venv: Path, target: str) -> None:
    """Leaves things out, then sees that the rest can be loaded. CalledProcessError: something cannot."""
    (packages,) = venv.glob("lib/python3*/site-packages")
    for pattern in NOT_IMPORTED:
        for path in list(packages.glob(pattern)):
            _remove(path)
    for pattern in NOT_RUN:
        for path in list(packages.rglob(pattern)):
            path.unlink()
    if target == "pusher":
        _keep_only_libraries_of_av(packages)
    modules = [path for path in packages.rglob("*.so") if not path.parent.name.endswith(".libs")]
    for path in modules:
        _strip(path)
    libraries = [path for folder in packages.glob("*.libs") for path in folder.iterdir()]
    named = "\n".join(str(path) for path in (*libraries, *modules))
    python = [venv / "bin/python", "-c", LOADING]
    subprocess.run(python, input=named, text=True, check=True)  # noqa: S603 - the venv's own


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _keep_only_libraries_of_av(packages: Path) -> None:
    for path in list((packages / "av").iterdir()):
        if path.name != "__init__.py":  # by which the libraries are found
            _remove(path)
    for path in list((packages / "av.libs").iterdir()):
        if not path.name.startswith(PUSHERS_LIBRARIES):
            path.unlink()


def _strip(path: Path) -> None:
    """Takes debug information and the names of its insides out of a module. Bundled libraries stay as they are: not all of them survive it."""
    stripped = path.with_name(f"{path.name}.stripped")
    command = ["strip", "--strip-unneeded", "-o", stripped, path]
    subprocess.run(command, check=True)  # noqa: S603 - the build's own
    stripped.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
