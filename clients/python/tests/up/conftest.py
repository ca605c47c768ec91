"""A stack of stand-ins, and what they are started with."""

import os
from pathlib import Path

import pytest

from tapedeck.up.plan import UpOptions

STAND_INS = Path(__file__).parent.parent / "stand_ins"
MODULES = dict.fromkeys(("listen", "pusher", "storage_api"), "stand_in_service")


@pytest.fixture
def options(tmp_path):
    return UpOptions(tmp_path / "data", listen_port=0, storage_port=0, modules=MODULES)


@pytest.fixture
def environ(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPEDECK_")}
    return {
        **clean,
        "PYTHONPATH": str(STAND_INS),
        "STAND_IN_NOTES": str(notes),
        "TAPEDECK_DRAIN_SECONDS": "5",
    }
