"""The system that faults are caused in, and which of them are: the long ones are chosen, not skipped."""

import os
from collections.abc import Callable, Iterator

import pytest

from tapedeck_testing.bucket_servers import GcsServer
from tapedeck_testing.prometheus import Prometheus, hurried_rules, targets_of
from tapedeck_testing.stack import Stack
from tapedeck_testing.trial import HURRIED, Trial


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """TAPEDECK_TEST_FAULTS=1 runs all."""
    if os.environ.get("TAPEDECK_TEST_FAULTS"):
        return
    left_out = {
        item for item in items if item.path.name.startswith("test_faults") and item.get_closest_marker("long")
    }
    config.hook.pytest_deselected(items=sorted(left_out, key=lambda item: item.nodeid))
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="module")
def more_settings() -> dict[str, str]:
    """What a module's system has beside hurry."""
    return {}


@pytest.fixture(scope="module")
def trial(
    tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str], more_settings: dict[str, str]
) -> Iterator[Trial]:
    """One for the tests of a module."""
    binary = program("prometheus")
    folder = tmp_path_factory.mktemp("faults")
    gcs = GcsServer.started(folder / "gcs", lasting=True)
    environ = {**HURRIED, **gcs.settings(), **more_settings}
    stack = Stack(folder / "stack", "--store", f"gs://{gcs.make_bucket()}", environ=environ).start()
    prometheus = Prometheus(binary, folder / "prometheus", targets_of(stack), hurried_rules())
    yield Trial(folder, stack, prometheus, gcs)
    prometheus.stop()
    stack.stop()
    gcs.stop()
