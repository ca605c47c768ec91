"""Which of the faults are caused: the long ones are chosen, not skipped."""

import os

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """TAPEDECK_TEST_FAULTS=1 runs all."""
    if os.environ.get("TAPEDECK_TEST_FAULTS"):
        return
    left_out = {
        item for item in items if item.path.name == "test_faults.py" and item.get_closest_marker("long")
    }
    config.hook.pytest_deselected(items=sorted(left_out, key=lambda item: item.nodeid))
    items[:] = [item for item in items if item not in left_out]
