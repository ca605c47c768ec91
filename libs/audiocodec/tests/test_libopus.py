import ctypes.util
import subprocess
import sys
from pathlib import Path

import pytest

from audiocodec import libopus
from audiocodec.errors import LibopusError
from audiocodec.libopus import Libopus, find, load, parse_version, pyav_copies

HIDE_THE_SYSTEMS = "import ctypes.util; ctypes.util.find_library = lambda name: None\n"
ROUND_TRIP = """
import opuslib
encoder = opuslib.Encoder(16000, 1, "voip")
packet = encoder.encode(bytes(640), 320)
assert len(opuslib.Decoder(16000, 1).decode(packet, 320)) == 640
"""


def python(script: str, **environ: str) -> str:
    """Runs a script in a fresh interpreter, warnings as errors and nothing compiled before."""
    flags = ["-W", "error", "-B", "-X", "pycache_prefix=/nonexistent"]
    command = [sys.executable, *flags, "-c", script]
    return subprocess.run(command, check=True, env=environ, capture_output=True, text=True).stdout


@pytest.fixture
def installed_av(tmp_path, monkeypatch):
    """An installed `av` package that must not be imported; gives its site-packages."""
    monkeypatch.delitem(sys.modules, "av", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "av").mkdir()
    (tmp_path / "av/__init__.py").write_text("raise AssertionError('av was imported')\n")
    return tmp_path


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    "name",
    [
        "av.libs/libopus-114e2b1a.so.0.11.1",  # auditwheel
        "av.libs/libopus.so.0",
        "av/.dylibs/libopus.0.dylib",  # delocate
        "av.libs/libopus-0-6ba3b2b9.dll",  # delvewheel
        "av.libs/opus-6ba3b2b9.dll",
    ],
)
def test_pyavs_copy_is_found_without_importing_it(installed_av, name):
    copy = touch(installed_av / name)
    assert pyav_copies() == [copy]
    assert "av" not in sys.modules


@pytest.mark.parametrize(
    "name", ["av.libs/libopusfile-1.so.0", "av.libs/libopusenc.so.0", "av.libs/libvpx-1.so", "av/libopus.py"]
)
def test_other_libraries_are_not_taken_for_it(installed_av, name):
    touch(installed_av / name)
    assert pyav_copies() == []


def test_a_pyav_without_a_wheels_libraries(installed_av):
    assert pyav_copies() == []


def test_no_pyav(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert pyav_copies() == []


def test_the_installed_pyavs_copy_is_a_libopus():
    copies = pyav_copies()
    if not copies:
        pytest.skip("the installed PyAV is not a wheel that carries libopus")
    found = find({"TAPEDECK_LIBOPUS": str(copies[0])})
    assert found.version >= (1, 3)


def test_the_newest_wins(monkeypatch):
    versions = {
        "libopus.so.0": (1, 3, 1),
        "/av.libs/libopus-1.so": (1, 6, 1),
        "/av.libs/libopus-2.so": (1, 10),
    }
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: "libopus.so.0")
    monkeypatch.setattr(libopus, "pyav_copies", lambda: [Path(path) for path in list(versions)[1:]])
    monkeypatch.setattr(libopus, "_version", versions.__getitem__)
    assert find({}) == Libopus("/av.libs/libopus-2.so", (1, 10), "pyav")
    versions["libopus.so.0"] = (2,)
    assert find({}) == Libopus("libopus.so.0", (2,), "system")
    versions["libopus.so.0"] = (1, 10)
    assert find({}).source == "system"


def test_the_variable_beats_both(monkeypatch):
    monkeypatch.setattr(libopus, "_version", lambda path: (0, 9))
    assert find({"TAPEDECK_LIBOPUS": "/opt/libopus.so"}) == Libopus("/opt/libopus.so", (0, 9), "env")


@pytest.mark.parametrize("name", ["/nonexistent/libopus.so", __file__, "libc.so.6"])
def test_a_variable_that_names_no_libopus_is_refused(name):
    with pytest.raises(LibopusError, match="TAPEDECK_LIBOPUS names"):
        find({"TAPEDECK_LIBOPUS": name})


def test_a_candidate_that_does_not_load_is_passed_over(monkeypatch, installed_av):
    broken = touch(installed_av / "av.libs/libopus-0.so.0")
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(LibopusError, match=broken.name):
        find({})


def test_none_at_all_says_what_to_do(monkeypatch, installed_av):
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(LibopusError, match=r"install libopus.*TAPEDECK_LIBOPUS"):
        find({})


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("libopus 1.6.1", (1, 6, 1)),
        ("libopus 1.3.1-fixed", (1, 3, 1)),
        ("libopus 1.5-12-gabc1234", (1, 5)),
        ("libopus unknown", ()),
        ("", ()),
    ],
)
def test_versions(text, version):
    assert parse_version(text) == version


def test_loading_is_done_once():
    assert load() is load()


def test_opuslib_works_where_the_system_has_no_libopus():
    if not pyav_copies():
        pytest.skip("the installed PyAV is not a wheel that carries libopus")
    script = (
        HIDE_THE_SYSTEMS
        + "from audiocodec.libopus import load\nprint(load().source)\n"
        + "assert ctypes.util.find_library('opus') is None  # the patch is gone\n"
        + ROUND_TRIP
        + "import sys; assert 'av' not in sys.modules\n"
    )
    assert python(script).strip() == "pyav"


def test_opuslib_uses_the_library_of_the_variable():
    path = find({}).path
    script = (
        "from audiocodec.libopus import load\nprint(load().source)\n"
        + ROUND_TRIP
        + "import opuslib.api; print(opuslib.api.libopus._name)"
    )
    assert python(script, TAPEDECK_LIBOPUS=path).split() == ["env", path]


def test_an_opuslib_that_was_imported_before_keeps_its_library():
    path = find({}).path
    script = (
        f"import ctypes.util; ctypes.util.find_library = lambda name: {path!r}\n"
        "import warnings; warnings.simplefilter('ignore'); import opuslib; warnings.simplefilter('error')\n"
        "import audiocodec\nfrom audiocodec import libopus\n"
        "assert audiocodec.Encoder(16000).lookahead == 312\n"
        f"assert libopus.load().path == {path!r}\n"
        "libopus.load.cache_clear()\n"
        "import os; os.environ['TAPEDECK_LIBOPUS'] = '/elsewhere/libopus.so'\n"
        "try: libopus.load()\n"
        "except audiocodec.LibopusError as error: print(error)\n"
    )
    assert "imported before" in python(script)
