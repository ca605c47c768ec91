"""Asking for many buffers to be stored now: the wish, which stands in Redis, and the hints that make it quick."""

from collections.abc import Sequence

from audiobus.bus import Bus
from audiobus.connection import translate_response, translated
from audiobus.conversation import Conversation
from audiobus.errors import BusContractError, BusError, BusUnavailableError
from audiobus.hints import Hints
from audiobus.script import Call, run_together, script


async def ask_together(
    bus: Bus, conversations: Sequence[Conversation], reason: str, now_ms: int
) -> list[bool | BusError]:
    """Notes durably that everything appended so far shall be stored now, some hundreds at a time; of each whether anything was there.

    In the place of each that it could not be noted for, the error. A hint that is lost after it only delays what was asked for.

    Raises:
        BusUnavailableError: not known of any of them. Ask again.
    """
    keys = bus.keys
    calls = [
        Call(script("ask"), [keys.conv(one), keys.audio(one)], [reason, "", "0", ""]) for one in conversations
    ]
    with translated("ask"):
        answers = await run_together(bus.client, calls)
    found = [_read(answer) for answer in answers]
    wanted = [one for one, noted in zip(conversations, found, strict=True) if noted is True]
    dues = [Call(script("due"), [keys.due(keys.partition(one))], [one.tag, now_ms, "1"]) for one in wanted]
    try:
        with translated("due"):
            await run_together(bus.client, dues)
        await Hints(bus).ready_together(wanted, reason)
    except BusUnavailableError:
        pass  # whoever looks at them next finds the wish
    return found


def _read(answer: object) -> bool | BusError:
    match answer:
        case Exception():
            return translate_response("ask", answer)
        case [b"ok", _, _, entries]:
            return int(str(entries)) > 0
        case [b"none"]:
            return False
        case other:
            return BusContractError(f"ask answered {other!r}")
