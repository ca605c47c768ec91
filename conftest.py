"""Fixtures that the tests of every package may ask for, and how long examples may take: as long as the machine lets them."""

import signal
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

from tapedeck_testing.free_ports import free_port

settings.register_profile(
    "any machine", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As what a shell runs in the background has it: children would inherit it, and Ctrl-C is tried here.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tapedeck_testing.programs", "tapedeck_testing.redis_fixtures"]


@pytest.fixture
def unused_tcp_port() -> int:
    """In the place of pytest-asyncio's, which the next outgoing connection of any process may be given."""
    return free_port()


@pytest.fixture(scope="session")
def unused_tcp_port_factory() -> Callable[[], int]:
    """Makes such ports."""
    return free_port
