"""Fields among the dead letters that nothing can read: damaged letters, and what somebody else put there.

Owns how they are called, and their deletion. It reads none of them, and moves in the books what the letters beside it do not account for.
"""

import re
from contextlib import nullcontext
from typing import Final

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.deletions import KEPT_MS, looked_at
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError, BusContractError
from audiobus.letter import Letter, read_letter
from audiobus.letters_cut import PAGE
from audiobus.script import Argument, script

_ESCAPED: Final = re.compile(rb"\\(\\|x[0-9a-f]{2})")


def shown(name: bytes) -> str:
    r"""A field's name as text, another one for each: a byte that is no UTF-8 becomes `\xff`, a backslash `\\`."""
    return name.replace(b"\\", b"\\\\").decode(errors="backslashreplace")


def named(text: str) -> bytes:
    """The name that is shown so."""
    return _ESCAPED.sub(_unescaped, text.encode())


def _unescaped(found: re.Match[bytes]) -> bytes:
    escaped = found[1]
    return escaped if escaped == b"\\" else bytes.fromhex(escaped[1:].decode())


async def discard_field(bus: Bus, conversation: Conversation, field: str | bytes, now_ms: int) -> int | None:
    """Deletes a field that is no letter; how many samples that made deleted, None where there is no such field.

    `field`: its name, or, as text, as `shown` has it. `now_ms`: unix ms.

    Where several of them cannot be read nobody knows what was counted for which: the last one takes it all.

    Raises:
        BusContractError: it is a letter: `deletions.discard` is for those.
        BusUnavailableError: not known whether it is deleted. Delete it again.
    """
    keys = bus.keys
    name = named(field) if isinstance(field, str) else field
    while True:
        value = await bus.command("HGET", keys.dead(conversation), name)
        if value is None:
            return None
        if _letter(name, value) is not None:
            raise BusContractError(f"dead letter {name[:60]!r} can be read")
        counted = await bus.command("HGET", keys.conv(conversation), "dead")
        letters, unread = await _all(bus, conversation)
        others = [one for one in unread if one != name]
        samples = 0
        if not others and counted is not None and counted.isdigit():
            samples = max(0, int(counted) - sum(one.samples for one in letters))
        epoch = _epoch(name)
        if any(_epoch(one) == epoch for one in others):
            epoch = None
        first = min((one.first_offset for one in letters if one.entry.id.epoch == epoch), default="")
        args: list[Argument] = [name, value, len(letters) + len(unread), counted or b"", samples]
        args += ["" if epoch is None else str(epoch), first, KEPT_MS]
        names = [keys.conv(conversation), keys.dead(conversation), keys.audio(conversation)]
        last = len(letters) + len(unread) == 1
        # After the last of them nothing may be left of the conversation: then it leaves its user's list, if somebody looks.
        async with looked_at(bus, conversation, now_ms) if last else nullcontext():
            answer = await script("discard_field").run(
                bus.client, names, args, wait_replicas=bus.wait_replicas
            )
        match answer:
            case [b"ok"]:
                return samples
            case [b"gone"]:
                return None
            case [b"again"]:
                continue
            case _:
                raise BusContractError(f"discard_field answered {answer!r}")


async def _all(bus: Bus, conversation: Conversation) -> tuple[list[Letter], list[bytes]]:
    """The letters, and the names of the fields that are none."""
    key = bus.keys.dead(conversation)
    names = await bus.command("HKEYS", key)
    letters: list[Letter] = []
    unread: list[bytes] = []
    for start in range(0, len(names), PAGE):
        page = names[start : start + PAGE]
        for name, value in zip(page, await bus.command("HMGET", key, *page), strict=True):
            letter = None if value is None else _letter(name, value)
            if letter is not None:
                letters.append(letter)
            elif value is not None:
                unread.append(name)
    return letters, unread


def _letter(name: bytes, value: bytes) -> Letter | None:
    """None where it is none: that is what is asked here."""
    try:
        return read_letter(name, value)
    except BadEntryError:
        return None


def _epoch(name: bytes) -> int | None:
    try:
        return EntryId.parse(name).epoch
    except ValueError:
        return None
