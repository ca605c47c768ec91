"""A running listen, and things to send to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapedeck_testing.protocol.listen_process import ListenProcess
from tapedeck_testing.protocol.waits import Waits
from tapedeck_testing.recordings import noisy_pcm, opus_packets


@pytest.fixture(scope="session")
def listen(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ListenProcess]:
    """One process for all tests that do it no harm."""
    running = ListenProcess(redis_url, tmp_path_factory.mktemp("listen")).start()
    yield running
    running.kill()


@pytest.fixture
def start_listen(redis_url: str, tmp_path: Path) -> Iterator[Callable[..., ListenProcess]]:
    """Starts processes of the test's own."""
    started: list[ListenProcess] = []

    def start(url: str = redis_url, **environ: str) -> ListenProcess:
        running = ListenProcess(url, tmp_path / f"listen{len(started)}", **environ)
        started.append(running)
        return running.start()

    yield start
    for running in started:
        running.kill()


@pytest.fixture(scope="session")
def second() -> bytes:
    """One second of PCM, s16le at 16 kHz: 32,000 bytes."""
    return noisy_pcm(1, seed=1)


@pytest.fixture(scope="session")
def packets() -> list[bytes]:
    """Two seconds of Opus packets of 20 ms."""
    return opus_packets(2, seed=1)[:100]


@pytest.fixture(scope="session", autouse=True)
def waits(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waits | None]:
    """Begins with the first test of this folder, where any test will ask for an outcome."""
    if not any(item.path.name == "test_waits.py" for item in request.session.items):
        yield None
        return
    under_way = Waits(tmp_path_factory.mktemp("waits"))
    yield under_way
    under_way.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever asks for the outcome of a wait comes last of all, when most are over."""
    items.sort(key=lambda item: item.path.name == "test_waits.py")
