"""Planted defects: each breaks one rule of docs/interleavings.md, and the simulation must find it. One that cannot is worth nothing.

A rule of a script is broken in the script's text, as the world's Redis runs it; a rule of the code by putting another function in its
place for as long as the hunt lasts. Where the text or the function is not there any more, the hunt says so.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

import audiobus.pipeline
import listen.errands
import listen.outbox
import pusher.already_stored
import pusher.clearing
import pusher.prober
import pusher.second_try
import pusher.standing
import pusher.store_put
import pusher.sweeper
import pusher.worker
from audiobus import Appended
from audiobus.cut import decode_cut
from audiobus.hints import Hints
from audiobus.script import script
from storage_api.recording import Recording, Recordings
from tapedeck_testing.simulation.chance import LOSSY, NOTHING_FIXED, OLD_MASTER, Fixed
from tapedeck_testing.simulation.garbling import GARBLED
from tapedeck_testing.simulation.outcome import Outcome, run
from tapedeck_testing.simulation.turning_points import TURN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted defect."""

    rule: str
    """What is not done."""
    stories: tuple[int, ...]
    """Of docs/interleavings.md, "Interleavings that broke simpler designs"; none: the rule came later."""
    faults: tuple[str, ...] | dict[str, float]
    """The kinds that it is hunted with, or their rates."""
    script: tuple[str, str, str] | None = None
    """A script, a piece of its text, and what takes its place."""
    walks: bool | None = None
    """False: no walk over the buffers makes good what it costs."""
    fixed: Fixed = NOTHING_FIXED
    """What else it is hunted with."""
    patch: Callable[[], AbstractContextManager[None]] = field(default=nullcontext)

    def play(self, seed: int, mutants: dict[str, str]) -> Outcome:
        """One history of those that it is hunted in, with these scripts in the place of others."""
        return run(seed, faults=self.faults, mutants=mutants, walks=self.walks, fixed=self.fixed)

    def hunt(self, seeds: range) -> Outcome | None:
        """The first history that shows it."""
        mutants = {}
        if self.script is not None:
            name, text, instead = self.script
            whole = script(name)
            assert text in whole.source, f"{name}.lua has no {text!r} any more: plant the defect anew"
            mutants = dict.fromkeys((whole.digest, whole.source), whole.source.replace(text, instead))
        with self.patch():
            for seed in seeds:
                outcome = self.play(seed, mutants)
                if outcome.wrong:
                    return outcome
        return None


@contextmanager
def replaced(place: Any, name: str, value: Any) -> Iterator[None]:
    """Another value in that place for a while."""
    kept = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, kept)


async def _finish_then_store(bus: Any, store: Any, prepared: Any, now_ms: int) -> Any:
    built = prepared.built
    finished = await bus.finish(
        prepared.conversation,
        prepared.raw,
        last=prepared.cut.last_id,
        preroll=built.preroll,
        samples=built.samples,
        ends=built.ends,
        now_ms=now_ms,
    )
    outcome = await pusher.store_put._store(bus, store, prepared, now_ms)
    return outcome if finished else pusher.store_put.Outcome.OVERTAKEN


async def _acknowledge_then_append(writer: Any, request: Any, acknowledge: Any) -> None:
    acknowledge(Appended(request.id, None, None, request.samples, 3, b""))
    await writer.append(request)


async def _bucket_first(self: Any, conversation: Any) -> Recording:
    objects = await self.bucket.objects(*conversation)
    return Recording(conversation, await self._tail(conversation), tuple(objects))


async def _never(*_args: Any) -> bool:
    return False


_push_due = Hints.push_due


async def _push_due_with_audio(self: Any, conversation: Any, at_ms: int) -> None:
    """A buffer of no more than two entries is taken off `due`, although its session goes on. With empty ones alone it shows in one of hundreds."""
    keys = self._bus.keys
    if await self._bus.command("XLEN", keys.audio(conversation)) > 2:
        await _push_due(self, conversation, at_ms)
    else:
        await self._bus.command("ZREM", keys.due(keys.partition(conversation)), conversation.tag)


async def _pop_then_hint(self: Any, partition: int, now_ms: int, _next_ms: int) -> int:
    due, ready = self._bus.keys.due(partition), self._bus.keys.ready(partition)
    tags = await self._bus.command("ZRANGEBYSCORE", due, "-inf", now_ms)
    for tag in tags:
        await self._bus.command("ZREM", due, tag)
        # It takes its time: a kill that falls between two requests is rare.
        for _ in range(8):
            await self._bus.ping()
        await self._bus.command("XADD", ready, "*", "c", tag, "r", "due")
    return len(tags)


_misplaced = listen.outbox.Outbox.misplaced


def _misplaced_with_gaps(self: Any, newest: Any, *, gaps: bool = True) -> bool:
    return _misplaced(self, newest)


def _level_of_the_moment(raw: bytes) -> Any:
    """The level changes every few seconds, and a retry goes by what it is then."""
    cut = decode_cut(raw)
    if not cut.name or int(time.monotonic()) // 3 % 2:
        return cut
    sealed = cut.name.endswith(".enc")
    name = cut.name.removesuffix(".enc" if sealed else ".bin") + (".bin" if sealed else ".enc")
    return msgspec.structs.replace(cut, name=name, protection="standard" if sealed else "enhanced")


@contextmanager
def _levels_of_the_moment() -> Iterator[None]:
    with (
        replaced(pusher.worker, "decode_cut", _level_of_the_moment),
        replaced(pusher.standing, "decode_cut", _level_of_the_moment),
    ):
        yield


_KILLS: Final = (
    "process: killed before a request",
    "process: killed after a request",
    "process: killed after an answer",
    "process: killed",
)
_STOPS: Final = ("process: stopped", "process: stopped for long")
_LINES: Final = ("line: cut", "line: half-open", "socket: taken over")
_TURNS: Final = {"chunk: unreadable to a build": 0.6, TURN: 0.5}

MUTANTS: Final = (
    Mutant(
        "append looks at the id before the chunk",
        (1, 2, 3),
        {"redis: pipeline torn": 0.5, "redis: executed late": 0.15},
        ("append", "if h[2] ~= ARGV[2] then return {'newest', h[2] or ''} end", ""),
    ),
    Mutant(
        "a repeated append counts nothing",
        (21,),
        ("redis: reply lost", "redis: executed twice"),
        (
            "append",
            "local received = tonumber(h[4] or '0')",
            (
                "if h[2] == ARGV[3] then redis.call('HINCRBY', conv, 'in', ARGV[6]) end\n"
                "local received = tonumber(h[4] or '0')"
            ),
        ),
    ),
    Mutant(
        "nothing that holds audio has a time limit",
        (10,),
        (),
        ("append", "local waiting =", "redis.call('PEXPIRE', audio, 86400000)\nlocal waiting ="),
    ),
    Mutant(
        "a cut needs the settled id that was read",
        (4,),
        {"redis: executed twice": 0.3},
        ("cut", "if (h[2] or '') ~= ARGV[1] then return {'settled', h[2] or ''} end", ""),
    ),
    Mutant(
        "a cut that stands is not overwritten",
        (4, 5),
        {"process: stopped": 0.15, "bucket: lands late": 0.9, "bucket: 5xx": 0.5},
        ("cut", "if h[1] ~= ARGV[2] then return {'standing', h[1]} end", ""),
    ),
    Mutant(
        "finish looks for its own cut",
        (5,),
        {"redis: executed twice": 0.3, "bucket: reply lost": 0.5},
        ("finish", "if h[1] ~= ARGV[1] then return {'other', h[1] or '', h[2] or ''} end", ""),
    ),
    Mutant(
        "finish removes what was cut and nothing more",
        (5,),
        (),
        (
            "finish",
            "redis.call('XTRIM', audio, 'MINID', '=', ARGV[3])",
            "redis.call('XTRIM', audio, 'MAXLEN', 0)",
        ),
    ),
    Mutant(
        "where a session ended is kept",
        (7,),
        {"redis: executed twice": 0.3, "line: cut": 0.3},
        ("open", "if epoch then redis.call('HSET', conv, 'end:' .. epoch, offset .. ':' .. ARGV[2]) end", ""),
    ),
    Mutant(
        "stored before finished",
        (5,),
        (*_KILLS, "bucket: 5xx", "bucket: away"),
        patch=lambda: replaced(pusher.worker, "store_then_finish", _finish_then_store),
    ),
    Mutant(
        "safe before acknowledged",
        (3,),
        (*_KILLS, *_LINES, "redis: request lost"),
        patch=lambda: replaced(listen.errands, "append_then_acknowledge", _acknowledge_then_append),
    ),
    Mutant(
        "the live tail is read before the bucket",
        (17,),
        ("bucket: slow", "redis: slow"),
        patch=lambda: replaced(Recordings, "look", _bucket_first),
    ),
    Mutant(
        "what lies in the bucket already is looked for after a failover",
        (3,),
        {LOSSY: 0.4},
        patch=lambda: replaced(pusher.already_stored.AlreadyStored, "known", lambda *_args: True),
    ),
    Mutant(
        "what no replica has confirmed is not acknowledged",
        (3,),
        {LOSSY: 0.4, OLD_MASTER: 1.0},
        patch=lambda: replaced(audiobus.pipeline, "confirmed", lambda answers, *_said: list(answers)),
    ),
    Mutant(
        "the client sends again what Redis lost and no process has",
        (3,),
        {LOSSY: 0.4, "line: cut": 0.4},
        patch=lambda: replaced(listen.outbox.Outbox, "misplaced", _misplaced_with_gaps),
    ),
    Mutant(
        "the cut holds the whole name",
        (6, 19),
        ("bucket: lands late", "bucket: reply lost", "bucket: 5xx", *_KILLS),
        patch=_levels_of_the_moment,
    ),
    Mutant(
        "a conversation stays on `due` as long as it has a buffer",
        (8,),
        {"process: killed after an ack": 0.3, "redis: hints gone": 0.5},
        walks=False,
        patch=lambda: replaced(Hints, "push_due", _push_due_with_audio),
    ),
    Mutant(
        "the next due time first, then the hint",
        (18,),
        dict.fromkeys(_KILLS, 0.03),
        walks=False,
        patch=lambda: replaced(Hints, "schedule", _pop_then_hint),
    ),
    Mutant(
        "an entry is dead once, however often it is buried",
        (16,),
        {"chunk: unreadable to a build": 0.4, "redis: executed twice": 0.3},
        ("bury", "if #redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1]) == 0 then return {'gone'} end", ""),
    ),
    Mutant(
        "a dead letter is dropped once",
        (16,),
        {"chunk: damaged": 0.3, "redis: executed twice": 0.3},
        ("discard", "if redis.call('HEXISTS', dead, ARGV[1]) == 0 then return {'gone'} end", ""),
    ),
    Mutant(
        "a cut over what its user has deleted is given up with its name",
        (12, 13),
        {"user: deleted": 0.3, "bucket: lands late": 0.4, "bucket: slow": 0.4, "process: killed": 0.06},
        ("expunge", "redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])", ""),
    ),
    Mutant(
        "a dead letter that its user has deleted is not stored",
        (12,),
        {"user: deleted": 0.3, "chunk: unreadable to a build": 0.4, "bucket: slow": 0.4},
        patch=lambda: replaced(pusher.second_try.SecondTry, "_user_deleted", _never),
    ),
    Mutant(
        "what was deleted is swept until nothing of it can be under way",
        (13,),
        {"conversation: deleted": 0.15, "bucket: lands late": 0.4},
        patch=lambda: replaced(pusher.sweeper, "next_sweep_ms", lambda _since_ms, _now_ms: None),
    ),
    Mutant(
        "of what a user recorded only what came before the moment is deleted",
        (12,),
        {"user: deleted up to the past": 0.3},
        patch=lambda: replaced(pusher.clearing, "_made_ms", lambda _entry, _before_ms: 0),
    ),
    Mutant(
        "what was planned before an entry was taken away is not cut",
        (),
        _TURNS,
        ("cut", "if ARGV[6] ~= '' and (h[3] or '0') ~= ARGV[6] then return {'settled', h[2] or ''} end", ""),
    ),
    Mutant(
        "a burial is told to whoever planned with what was buried",
        (),
        _TURNS,
        ("bury", "redis.call('HINCRBY', KEYS[1], 'fence', 1)", ""),
    ),
    Mutant(
        "an object that was found is read before its audio leaves Redis",
        (),
        {GARBLED: 0.4, "bucket: reply lost": 0.4},
        patch=lambda: replaced(pusher.store_put, "is_just", lambda _info, _data: True),
    ),
    Mutant(
        "a bucket that nobody puts anything into is tried",
        (),
        {
            GARBLED: 0.4,
            "bucket: 5xx": 0.4,
            "bucket: away": 0.08,
            "bucket: second away": 0.2,
            "user: deleted up to the past": 0.2,
        },
        fixed=Fixed(second=True),
        patch=lambda: replaced(pusher.prober.Prober, "look", lambda *_args: None),
    ),
)
