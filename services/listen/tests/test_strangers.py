"""Those who show no token: they stand in nobody's way, and hear of a process that is about to end."""

import asyncio
from contextlib import AsyncExitStack, ExitStack

import pytest

from listen.errors import RefusedError
from listen.strangers import Strangers

WEB = "/v4/web/listen"


class Stranger:
    def __init__(self) -> None:
        self.told: list[str] = []

    def send_away(self, error: RefusedError) -> None:
        self.told.append(error.reason)


def test_where_all_places_are_taken_the_oldest_goes():
    strangers = Strangers(2)
    first, second, third, fourth = (Stranger() for _ in range(4))
    with ExitStack() as places:
        for stranger in (first, second, third):
            places.enter_context(strangers.wait(stranger))
        assert (first.told, second.told, len(strangers)) == (["handshakes"], [], 2)
        places.enter_context(strangers.wait(fourth))
        assert (second.told, third.told) == (["handshakes"], [])
    assert len(strangers) == 0


def test_all_are_told_that_the_process_ends_and_nobody_comes_any_more():
    strangers, stranger = Strangers(2), Stranger()
    with strangers.wait(stranger):
        strangers.leave()
        strangers.leave()
        assert (stranger.told, len(strangers)) == (["draining"], 0)
        with pytest.raises(RefusedError) as caught, strangers.wait(Stranger()):
            pass
    assert (caught.value.status, caught.value.reason) == (503, "draining")


async def test_however_many_wait_who_has_a_token_comes_in(make_service):
    async with make_service(TAPEDECK_MAX_HANDSHAKES="3", TAPEDECK_MAX_SOCKETS="4").here() as service:
        async with AsyncExitStack() as stack:
            waiting = [
                await stack.enter_async_context(service.connect(path=WEB, bearer="")) for _ in range(4)
            ]
            assert await waiting[0].closed() == 1013
            assert waiting[0].codes == ["unavailable"]
            assert waiting[0].texts[-1]["retry_after_ms"] >= 3_000
            for _ in range(4):
                client = await stack.enter_async_context(service.connect())
                await client.hear("ready")
            metrics = await service.metrics()
            assert metrics['tapedeck_refused_total{reason="handshakes"}'] == 1
            assert metrics["tapedeck_connections"] == 4
        await service.until_empty()


async def test_who_waits_when_the_process_ends_is_told(make_service):
    async with make_service().here() as service, service.connect(path=WEB, bearer="") as client:
        async with asyncio.timeout(60):
            while not (await service.metrics())["tapedeck_strangers"]:
                await asyncio.sleep(0.01)
        service.stop.set()
        assert await client.closed() == 1013
        assert client.codes == ["unavailable"]
        assert client.texts[-1]["retry_after_ms"] >= 1_000
