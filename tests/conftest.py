"""The whole system, started once for the tests that do it no harm, and anew for those that do."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapedeck_testing.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running system that nobody kills."""
    running = Stack(tmp_path_factory.mktemp("stack")).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def start_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Starts systems of the test's own; all are stopped at its end."""
    started: list[Stack] = []

    def start(*options: str, environ: dict[str, str] | None = None) -> Stack:
        running = Stack(tmp_path / f"stack{len(started)}", *options, environ=environ)
        started.append(running)
        return running.start()

    yield start
    for running in started:
        running.stop()
