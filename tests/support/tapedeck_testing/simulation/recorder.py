"""A recorder: a device that follows the protocol page to the letter, and keeps the account of what it was told.

Records its tapes one after another in real time, keeps what is not acked (or not stored), resumes, is taken over by a second socket of
its own, forgets its session, finalizes, switches conversations, vanishes without a word. It lives outside: nothing kills it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from tapedeck_testing.simulation.substitutes import unix_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from tapedeck_testing.simulation.chance import Chance
    from tapedeck_testing.simulation.line import Line
    from tapedeck_testing.simulation.tape import Tape
    from tapedeck_testing.simulation.virtual_loop import VirtualLoop

TICK_S: Final = 0.24
"""Packets of so long go out together."""
SILENT_S: Final = 6.0
"""Something was sent, and nothing heard for so long: the line is dead."""
FATAL: Final = frozenset({1003, 1007, 1009, 4400, 4403, 4404})


@dataclass(slots=True)
class Spell:
    """One session of a recording. Offsets count from the start of its tape."""

    epoch: int
    base: int
    """Where it began."""
    acked: int
    furthest: int
    """Up to where bytes were ever sent in it."""
    end: int | None = None
    """Where the next session of the tape began; None for the last one."""
    stored: int = 0
    """Up to where its own acks said that they are stored."""
    cid: str = ""
    """The conversation that it is recorded into, if that is not the tape's: the one into which that was merged."""


@dataclass(slots=True)
class Story:
    """What one tape's device has seen."""

    tape: Tape
    spells: list[Spell] = field(default_factory=list)
    stored: int = 0
    done: bool = False
    """All is acked, and nobody needs to know more."""
    violations: list[str] = field(default_factory=list)
    forgot: bool = False
    """It gave up a session without asking where that stood."""
    deleted: bool = False
    """Its conversation was deleted, or is about to be."""
    merged: bool = False
    """Its conversation went into another one, or may."""
    endangered: bool = False
    """Somebody deletes a conversation that it may be in by then."""
    went: Callable[[], bool] = bool
    """Where that is so: whether what it is in is deleted by now, as its tombstones tell."""
    gone: bool = False
    """The device was told that it is no more."""
    plain: bool = False
    """The device is a plain one, and has no spells."""

    @property
    def is_deleted(self) -> bool:
        """Whether its conversation was deleted, or is about to be."""
        return self.deleted or self.went()

    @property
    def acked(self) -> int:
        return self.spells[-1].acked if self.spells else 0

    @property
    def cid(self) -> str:
        """Where it is recorded by now."""
        return (self.spells[-1].cid if self.spells else "") or self.tape.cid

    def recorded_into(self, spell: Spell) -> str:
        """The conversation of one of its sessions."""
        return spell.cid or self.tape.cid


class Recorder:
    """One device and its tapes."""

    dialect: Final = "v1"

    def __init__(
        self,
        loop: VirtualLoop,
        chance: Chance,
        tapes: list[Tape],
        connect: Callable[[Recorder, Tape, str, int | None], Line | None],
        *,
        keep: Literal["acked", "stored"],
        strict: bool,
    ) -> None:
        """`connect`: a line to some listener. `strict`: Redis loses nothing, so the server must never fall back behind its word."""
        self._loop = loop
        self._chance = chance
        self._connect = connect
        self._keep = keep
        self._strict = strict
        self.stories = [Story(tape) for tape in tapes]
        self._at = 0
        """The story that is told now."""
        self._session: int | None = None
        self._line: Line | None = None
        self._ready = False
        self._cursor = 0
        """The next byte to send."""
        self._asked: Literal["close", "finalize", "switch"] | None = None
        self._heard_at = self._sent_at = 0.0
        self._again = False
        """Finalize once more: it was answered before all was stored."""
        self._leaves = chance.dice.random() < 0.25
        """At its end it vanishes without a word."""
        self._waiting_s = 0.0
        self.done = False

    @property
    def story(self) -> Story:
        """The one that is told now."""
        return self.stories[self._at]

    async def run(self) -> None:
        """Records everything."""
        loop, chance = self._loop, self._chance
        while not self.done:
            tape = self.story.tape
            if self._line is None:
                wait_ms = tape.captured_ms[0] - unix_ms(loop)
                if wait_ms > 0:
                    await asyncio.sleep(wait_ms / 1000)
                self._open()
            else:
                self._tick(self._line)
            if self._line is None:
                self._waiting_s = min(4.0, max(0.2, 2 * self._waiting_s))
                await asyncio.sleep(self._waiting_s * chance.between(0.5, 1.0))
            else:
                await asyncio.sleep(TICK_S)

    # -- the line says -------------------------------------------------------------------------------------------------

    def heard(self, line: Line, text: str) -> None:
        if line is not self._line:
            return
        self._heard_at = self._loop.time()
        message = json.loads(text)
        if self._chance.tracing:
            self._chance.tell(f"device {self.story.tape.number} hears {text}")
        match message["type"]:
            case "ready":
                self._on_ready(message)
            case "ack":
                self._on_ack(message)
            case "finalized":
                self._on_finalized(message)
            case "error" if message["code"] == "conversation_deleted" and self._may_be_gone():
                self._meant().gone = True
            case "error" if message["code"] == "merging" and self.story.merged:
                pass
            case "error" if message["code"] not in ("unavailable", "replaced", "internal", "not_ready"):
                self.story.violations.append(f"error {message['code']}: {message['message']}")
            case _:
                pass

    def lost(self, line: Line, code: int) -> None:
        if line is not self._line:
            return
        self._chance.note(f"device {self.story.tape.number} closed with {code}")
        asked, self._line, self._ready, self._asked = self._asked, None, False, None
        story = self.story
        if code == 1000 and asked == "close":
            if story.acked < story.tape.total:
                story.violations.append(f"closed with 1000 at {story.acked} of {story.tape.total}")
            self._next_story()
        elif code == 4404 and story.gone:
            # Of a session that it forgot nobody can tell it where that went.
            story.forgot |= not story.is_deleted
            self._next_story()
        elif code == 4404 and asked == "switch":
            pass  # the one that it wanted to change to is gone: it looks once more that what came before is safe
        elif code == 1006 and self._leaves and self._keep == "acked" and story.acked == story.tape.total:
            self._next_story()  # it has no more to say, and knows that all is safe
        elif code in FATAL or (code == 4409 and self._strict and not story.merged) or code == 1011:
            story.violations.append(f"closed with {code}")
            self.done = code in FATAL

    def _may_be_gone(self) -> bool:
        meant = self._meant()
        return meant.is_deleted or (meant.merged and self._session is None)

    def _meant(self) -> Story:
        """The story that an error is about: the next one, while it changes to that, unless this one is what was deleted."""
        following = self._following()
        changes = self._asked == "switch" and following is not None and not self.story.is_deleted
        return self.stories[following] if changes and following is not None else self.story

    def _following(self) -> int | None:
        """The next story that can be told."""
        later = range(self._at + 1, len(self.stories))
        return next((at for at in later if not self.stories[at].gone), None)

    # -- what follows --------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        story = self.story
        if (
            self._session is not None
            and self._keep == "acked"
            and self._chance.strikes("device: forgets its session")
        ):
            self._forget(story)
        cid = story.cid if self._session is not None else story.tape.cid
        self._line = self._connect(self, story.tape, cid, self._session)
        self._ready, self._asked = False, None
        self._heard_at = self._sent_at = self._loop.time()

    def _forget(self, story: Story) -> None:
        """The app was killed: what was sent and not acked is gone, and so is the session's name."""
        spell = story.spells[-1]
        self._session, story.forgot = None, True
        self._cursor = max(spell.furthest, spell.acked)

    def _tick(self, line: Line) -> None:
        loop, chance, story = self._loop, self._chance, self.story
        now = loop.time()
        silent = now - max(self._heard_at, self._sent_at if not self._ready else 0.0)
        if silent > SILENT_S and (not self._ready or self._asked or self._cursor > story.acked):
            chance.note(f"device {story.tape.number} takes its line for dead")
            self._drop(half_open_s=chance.between(0.0, 20.0))
        elif chance.strikes("line: cut", TICK_S):
            self._drop(half_open_s=None)
        elif chance.strikes("line: half-open", TICK_S):
            self._drop(half_open_s=chance.between(0.1, 20.0))
        elif self._ready and chance.strikes("socket: taken over", TICK_S):
            self._drop(half_open_s=chance.between(0.0, 5.0))
            self._waiting_s = 0.0
            self._open()
        elif self._ready:
            self._send(line)

    def _drop(self, *, half_open_s: float | None) -> None:
        line, self._line, self._ready, self._asked = self._line, None, False, None
        if line is not None:
            line.give_up(half_open_s=half_open_s)

    def _on_ready(self, message: dict[str, Any]) -> None:
        if self._asked == "switch":
            self._next_story(switched=True)
        self._waiting_s = 0.0
        story = self.story
        epoch, offset = int(message["session"]), int(message["resume_offset"])
        spell = story.spells[-1] if story.spells else None
        if spell is not None and epoch == spell.epoch == self._session:
            at = spell.base + offset
            if at > spell.furthest:
                story.violations.append(f"ready at {at}, and only {spell.furthest} was ever sent")
            if at < story.acked:
                if self._strict:
                    story.violations.append(f"ready at {at}, and {story.acked} was acked")
                if at < story.stored:
                    # It no longer has what is missing: a fresh session, from where it still has everything.
                    self._session = None
                    self._drop(half_open_s=None)
                    self._cursor = story.stored
                    return
                spell.acked = at
            spell.acked = max(spell.acked, at)
            self._cursor = at
        else:
            self._on_fresh(story, spell, epoch, offset, message)
        self._session = epoch
        self._ready = True

    def _on_fresh(
        self, story: Story, spell: Spell | None, epoch: int, offset: int, message: dict[str, Any]
    ) -> None:
        if offset != 0:
            story.violations.append(f"a fresh session begins at {offset}")
        at = 0
        if spell is not None:
            at = self._cursor if self._session is None else spell.acked
            if "previous_offset" in message and self._session is not None:
                at = spell.base + int(message["previous_offset"])
                if not spell.acked <= at <= spell.furthest and self._strict:
                    story.violations.append(
                        f"previous_offset {at}, acked were {spell.acked}, sent {spell.furthest}"
                    )
                at = max(at, story.stored) if self._keep == "stored" else max(at, spell.acked)
            elif self._session is not None:
                if self._strict:
                    story.violations.append("a fresh session, and nobody knows where the old one ended")
                at = story.stored if self._keep == "stored" else at
            spell.end = at
        cid = str(message["conversation_id"])
        story.spells.append(Spell(epoch, at, at, at, cid="" if cid == story.tape.cid else cid))
        self._cursor = at

    def _on_ack(self, message: dict[str, Any]) -> None:
        told = [self.story, *self.stories]
        story = next((one for one in told if one.cid == message["conversation_id"] and one.spells), None)
        if story is None or not story.spells:
            self.story.violations.append(f"ack for {message['conversation_id']}")
            return
        spell = story.spells[-1]
        offset, stored = spell.base + int(message["offset"]), spell.base + int(message["stored"])
        if offset > spell.furthest:
            story.violations.append(f"ack of {offset}, and only {spell.furthest} was ever sent")
        if offset < spell.acked:
            story.violations.append(f"ack of {offset} after {spell.acked}")
        if stored > offset:
            story.violations.append(f"stored {stored} of an ack of {offset}")
        spell.acked = max(spell.acked, offset)
        self._is_stored(story, stored)

    def _on_finalized(self, message: dict[str, Any]) -> None:
        story = self.story
        if self._asked == "finalize":
            self._asked = None
        if message["stored"] and story.spells:
            self._is_stored(story, story.spells[-1].base + int(message["offset"]))

    def _is_stored(self, story: Story, upto: int) -> None:
        spell = story.spells[-1]
        spell.stored = max(spell.stored, upto)
        story.stored = max(story.stored, upto)

    def _send(self, line: Line) -> None:
        if self._asked is not None:
            return
        story, tape = self.story, self.story.tape
        spell = story.spells[-1]
        out: list[str | bytes] = []
        due = tape.due(unix_ms(self._loop))
        for index in range(tape.index_at(self._cursor), due):
            if (
                index in tape.run_starts and self._cursor == tape.begins[index]
            ) or self._cursor == spell.base:
                out.append(json.dumps({"type": "mark", "at_ms": round(tape.at_ms(self._cursor))}))
            out.append(tape.rest(self._cursor))
            self._cursor = tape.begins[index + 1]
        spell.furthest = max(spell.furthest, self._cursor)
        if self._cursor == tape.total:
            self._wind_up(story, out)
        elif out and self._chance.dice.random() < 0.02:
            out.append('{"type":"finalize"}')
        if out:
            if len(out) > 1 or self._heard_at > self._sent_at:
                self._sent_at = self._loop.time()
            line.put(out)

    def _wind_up(self, story: Story, out: list[str | bytes]) -> None:
        """Everything is sent: what comes next."""
        if self._keep == "stored" and story.stored < story.tape.total:
            if story.acked == story.tape.total or not self._asked:
                self._asked = "finalize"
                out.append('{"type":"finalize"}')
            return
        if self._leaves and story.acked == story.tape.total:
            self._drop(half_open_s=None)
            self._next_story()
            return
        if self._leaves:
            return
        following = self._following()
        same = following is not None and self.stories[following].tape.cid == story.cid
        if following is not None and not same and self._chance.dice.random() < 0.7:
            self._asked = "switch"
            cid = self.stories[following].tape.cid
            out.append(json.dumps({"type": "conversation", "conversation_id": cid}))
        else:
            self._asked = "close"
            out.append('{"type":"close"}')

    def _next_story(self, *, switched: bool = False) -> None:
        story = self.story
        if switched and story.acked < story.tape.total:
            story.violations.append(f"switched at {story.acked} of {story.tape.total}")
        story.done = True
        self._session, self._cursor, self._asked = None, 0, None
        following = self._following()
        if following is None:
            self.done = True
        else:
            self._at = following
