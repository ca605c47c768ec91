"""`audiostore.names`: whatever stands in a bucket's listing."""

from random import Random

from audiostore.errors import BadNameError
from audiostore.legacy import parse_audio_name
from audiostore.names import conversation_prefix, parse_conversation_prefix, parse_name, user_prefix
from audiostore.store import check_name
from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw, Target, demand


def check(data: bytes) -> int | None:
    """Taken: it is written exactly as it was read, and every store would take it."""
    text = data.decode("utf-8", "replace")
    taken = False
    name = parse_name(text)
    if name is not None:
        demand(name.path == text, "a name that is written in another way than it was read")
        demand(name.start_ms <= name.end_ms, "a time that runs backwards")
        check_name(text)
        taken = True
    audio = parse_audio_name(text)
    demand(name is None or audio is not None, "a name of ours that is not taken for audio")
    if audio is not None:
        demand(audio.path == text and audio.start_ms >= 0, "not the name that was read")
        demand(
            parse_conversation_prefix(text.rpartition("/")[0] + "/") is not None,
            "in no conversation's folder",
        )
        demand(name is None or (name.start_ms, name.end_ms) == (audio.start_ms, audio.last_ms), "other times")
        taken = True
    folder = parse_conversation_prefix(text)
    if folder is not None:
        demand(
            conversation_prefix(*folder) == text, "a folder that is written in another way than it was read"
        )
        taken = True
    try:
        demand(user_prefix(text) == f"chunks/{text}/", "a user's folder under another name")
        demand(".." not in text.split("/") and "/" not in text, "a user whose folder lies elsewhere")
        taken = True
    except BadNameError:
        pass
    return len(data) if taken else None


def mutate(data: bytes, random: Random, _: Raw) -> bytes:
    """A number in it changed, or a few characters."""
    return edits.numbers_in(data.decode("utf-8", "replace"), random).encode("utf-8", "replace")


TARGET = Target(
    check,
    mutate,
    max_bytes=400,
    words=(b"chunks/", b".batch.bin", b".batch.enc", b".opus.enc", b"1732147200.123", b"/"),
)
