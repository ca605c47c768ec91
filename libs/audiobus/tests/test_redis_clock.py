"""The clock of Redis, as every process tells it."""

import asyncio
import time
from dataclasses import replace

import pytest

from audiobus import Bus
from audiobus.errors import BusUnavailableError
from audiobus.redis_clock import KEPT_S, SLOW_KEPT_S
from tapedeck_testing.free_ports import free_port


async def server_ms(bus) -> int:
    answer = await bus.command("TIME")
    seconds, micros = next(iter(answer.values())) if isinstance(answer, dict) else answer
    return int(seconds) * 1000 + int(micros) // 1000


async def test_it_tells_what_time_it_is_there(bus, conversation):
    before = await server_ms(bus)
    told = await bus.clock.ms(conversation)
    assert before - 250 <= told <= await server_ms(bus) + 250


async def test_two_processes_with_different_wall_clocks_tell_the_same(bus, conversation, monkeypatch):
    one = await bus.clock.ms(conversation)
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 15_000_000_000)
    async with Bus(bus.url, prefix=bus.keys.prefix) as other:
        two = await other.clock.ms(conversation)
    assert one - 250 <= two <= await server_ms(bus) + 250


async def test_it_tells_what_time_it_was(bus, conversation):
    assert 4_500 <= await bus.clock.ms(conversation) - await bus.clock.ms(conversation, 5_000) <= 5_500


async def test_it_asks_once_a_minute(bus, conversation):
    clock = bus.clock
    await clock.ms(conversation)
    [(name, look)] = clock._looks.items()
    clock._looks[name] = replace(look, ahead_ms=look.ahead_ms + 7_000, quick=True)
    assert await clock.ms(conversation) - await server_ms(bus) > 6_000  # it trusts what it knows
    clock._looks[name] = replace(look, ahead_ms=look.ahead_ms + 7_000, at_s=look.at_s - KEPT_S, quick=True)
    assert await clock.ms(conversation) - await server_ms(bus) < 1_000


async def test_what_a_slow_answer_told_does_not_serve_for_long(bus, conversation):
    clock = bus.clock
    await clock.ms(conversation)
    [(name, look)] = clock._looks.items()
    slow = replace(look, ahead_ms=look.ahead_ms + 7_000, quick=False, at_s=look.at_s - SLOW_KEPT_S)
    clock._looks[name] = slow
    assert await clock.ms(conversation) - await server_ms(bus) < 1_000


@pytest.mark.parametrize("where", ["there", "back"])
async def test_a_slow_answer_never_makes_a_moment_later_than_it_was(bus, conversation, monkeypatch, where):
    clock, real = bus.clock, bus.client.execute_command
    slow_s = 0.6

    async def slow(*args, **named):
        if where == "there":
            await asyncio.sleep(slow_s)
        answer = await real(*args, **named)
        if where == "back":
            await asyncio.sleep(slow_s)
        return answer

    before = await server_ms(bus)
    with monkeypatch.context() as slowly:
        slowly.setattr(bus.client, "execute_command", slow)
        told = await clock.ms(conversation, 0)
    assert before - 1000 * slow_s - 250 <= told <= before + 250


async def test_a_process_that_was_stopped_while_it_asked_asks_again(bus, conversation, monkeypatch):
    clock, real, asked = bus.clock, time.monotonic, []
    stopped_s = 0.0

    def monotonic():
        return real() + stopped_s

    look = clock._look

    async def stopped(node):
        nonlocal stopped_s
        asked.append(node)
        if len(asked) == 1:
            answer = await look(node)
            stopped_s = 20.0
            return replace(answer, at_s=answer.at_s + 20, ahead_ms=answer.ahead_ms - 20_000, quick=False)
        return await look(node)

    monkeypatch.setattr(time, "monotonic", monotonic)
    monkeypatch.setattr(clock, "_look", stopped)
    told = await clock.ms(conversation)
    assert len(asked) == 2
    # The moment it was asked for lies before the stop.
    assert abs(told + 20_000 - await server_ms(bus)) < 1_000


async def test_a_redis_that_is_away_is_said_to_be(conversation):
    async with Bus(f"redis://127.0.0.1:{free_port()}") as bus:
        with pytest.raises(BusUnavailableError):
            await bus.clock.ms(conversation)
