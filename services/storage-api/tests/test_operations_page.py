"""docs/operations.md says what the code does: its limits, and its gauges."""

import importlib
import re

import pytest

from storage_api.metrics import OPERATION_STATES


@pytest.fixture
def page(request) -> str:
    return (request.config.rootpath / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_limits_are_those_of_the_code(page):
    told = re.findall(r"^\| `([\w.]+)\.([A-Z_]+)`[^|]*\| (\d+) \|", page, re.MULTILINE)
    assert len(told) == 4
    for module, name, value in told:
        assert getattr(importlib.import_module(f"storage_api.{module}"), name) == int(value)


def test_the_gauges_are_those_of_the_code(page):
    assert re.findall(r"tapedeck_operations\{state=\"(\w+)\"\}", page) == list(OPERATION_STATES)
