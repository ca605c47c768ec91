"""docs/operations.md says what the code does: its limits, and its gauges."""

import re

import pytest

from storage_api import downloads, slots
from storage_api.deletion import all_of_user
from storage_api.metrics import OPERATION_STATES

LIMITS = {
    "downloads.MAX_DOWNLOADS": downloads.MAX_DOWNLOADS,
    "slots.MOST_LISTS": slots.MOST_LISTS,
    "slots.MOST_FLUSHES": slots.MOST_FLUSHES,
    "slots.MOST_DELETIONS": slots.MOST_DELETIONS,
    "all_of_user.MOST": all_of_user.MOST,
}


@pytest.fixture
def page(request) -> str:
    return (request.config.rootpath / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_limits_are_those_of_the_code(page):
    told = re.findall(r"^\| `(\w+\.\w+)`[^|]*\| (\d+) \|$", page, re.MULTILINE)
    assert {name: int(value) for name, value in told} == LIMITS


def test_the_gauges_are_those_of_the_code(page):
    assert re.findall(r"tapedeck_operations\{state=\"(\w+)\"\}", page) == list(OPERATION_STATES)
