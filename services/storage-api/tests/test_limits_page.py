"""docs/limits.md says what storage-api does: each limit's value, each problem's code; and no limit of reading is missing there."""

import importlib
import re
from pathlib import Path

import pytest

import storage_api
from storage_api.problem_codes import PROBLEM_CODES
from tapedeck_testing.limits_page import STORAGE_API, in_units_of_the_page, limits_of, on_page

ROW = re.compile(r"^\| `([a-z_.]+)\.([A-Z_]+)`[^|]*\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NO_LIMITS = {
    "a piece in which something is made": (
        "audio_stream.BLOCK_BYTES older_stream.PIECE_BYTES pcm_rendering.SILENCE_BYTES pcm_rendering.BLOCK_BYTES ogg_rendering.SILENCE_STEP_SAMPLES"
    ),
    "how sound is rendered": (
        "ogg_rendering.MIN_PRE_SKIP_SAMPLES ogg_rendering.SILENT_START_SAMPLES ogg_rendering.SHORT_GAP_SAMPLES passage.AROUND_SAMPLES"
    ),
    "how often something is looked at": "running.KEYS_EVERY_S flush.FIRST_PAUSE_S flush.LONGEST_PAUSE_S verdicts.BELIEVED_S verdicts.FIRST_BELIEVED_S",
    "part of a format": (
        "page_tokens._DIGEST_BYTES recordings._ID_BYTES reading.PLAIN_HEAD_BYTES reading.SEALED_HEAD_BYTES moments._LAST_MS"
    ),
    "what something is taken for": "parameters.DEFAULT_MAX_GAP_S summary.RECORDING_MS usage.SURELY_KEPT",
    "how far a page looks back, and which times sort as their names do": "watershed.LONGEST_MS watershed.FIRST_MS watershed.END_MS",
}
"""Constants that are called as limits are, by why they are none of their own."""


@pytest.fixture(scope="module")
def page(request) -> str:
    text = (request.config.rootpath / "docs" / "limits.md").read_text(encoding="utf-8")
    return text.partition(STORAGE_API)[2]


def constant(module: str, name: str) -> float:
    for package in ("storage_api", "servicekit", "audiostore"):
        try:
            return in_units_of_the_page(name, getattr(importlib.import_module(f"{package}.{module}"), name))
        except (ModuleNotFoundError, AttributeError):
            continue
    raise AssertionError(f"nothing is called {module}.{name}")


def test_every_limit_has_the_value_that_the_page_says(page):
    rows = ROW.findall(page)
    assert len(rows) > 40
    for module, name, value, _ in rows:
        assert constant(module, name) == on_page(value), f"{module}.{name}"


def test_every_problem_on_the_page_is_one(page):
    for _, name, _, seen in ROW.findall(page):
        for status, code in re.findall(r"\b([45]\d\d) `(\w+)`", seen):
            assert PROBLEM_CODES[code].status == int(status), name


def test_every_limit_of_reading_is_on_the_page(page):
    """Operations, and what deletes and merges, work by themselves: what bounds them stands where they are told of."""
    here = Path(storage_api.__file__).parent
    names = [path.stem for path in here.glob("*.py") if path.stem != "__main__"]
    names += [f"waveforms.{path.stem}" for path in here.glob("waveforms/*.py")]
    found = {
        f"{name}.{limit}"
        for name in names
        for limit in limits_of(importlib.import_module(f"storage_api.{name}"))
    }
    said = {f"{module}.{name}" for module, name, _, _ in ROW.findall(page)}
    exempt = {name for names in NO_LIMITS.values() for name in names.split()}
    assert found - said - exempt == set(), "say them on the page, or here why they are no limits"
    assert exempt & said == set()
    assert exempt - found == set(), "these are gone"
