"""The query of a handshake, checked: what the client sends and what it records into.

Pure. Raises RefusedError.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from audiocodec.adts import SAMPLE_RATES as ADTS_RATES
from listen import close_codes
from listen.audio_format import (
    AAC_PRE_SKIP,
    CODECS,
    ENCODER_LOOKAHEAD,
    PACKET_CODECS,
    RATE_LEAST,
    RATE_MOST,
    AudioFormat,
)
from listen.errors import RefusedError
from listen.messages import BAD_CONVERSATION_ID
from listen.recording import Dialect
from servicekit.ids import valid_id

DEFAULTS: Final[dict[Dialect, tuple[str, str]]] = {"v1": ("pcm16", "16000"), "plain": ("pcm8", "8000")}
PRE_SKIP_LEAST: Final = 120
"""Of Opus: what its encoders look ahead at the least."""
PRE_SKIP_MOST: Final = 65_535
"""OpusHead has 16 bits for it (RFC 7845 §5.1)."""
EPOCH_DIGITS: Final = 15


@dataclass(frozen=True, slots=True)
class Opening:
    """What a client wants."""

    audio_format: AudioFormat
    conversation_id: str | None
    """None: the server makes one."""
    resume: int | None
    """The epoch of the session to go on with."""
    mismatch: str | None
    """Why `session` cannot be what the client says; told after the handshake, with 4400."""


def read_opening(query: Mapping[str, str], dialect: Dialect) -> Opening:
    """The opening in a query. Unknown parameters are ignored.

    Raises:
        RefusedError: a parameter that is wrong (400), or not supported (400, close code 1003).
    """
    codec_default, rate_default = DEFAULTS[dialect]
    codec = query.get("codec") or codec_default
    if codec not in CODECS:
        raise RefusedError(
            400,
            "bad_parameter",
            f"`codec` must be one of {', '.join(CODECS)}",
            close_code=close_codes.NOT_SUPPORTED,
        )
    rate = _whole(query, "sample_rate", rate_default, RATE_LEAST, RATE_MOST)
    channels = _whole(query, "channels", "1", 1, 2)
    pre_skip = ENCODER_LOOKAHEAD
    if codec in PACKET_CODECS:
        pre_skip = _whole(query, "pre_skip", str(ENCODER_LOOKAHEAD), PRE_SKIP_LEAST, PRE_SKIP_MOST)
    elif codec == "aac":
        if rate not in ADTS_RATES:
            raise RefusedError(
                400,
                "bad_parameter",
                f"`sample_rate` {rate}: AAC has it not",
                close_code=close_codes.NOT_SUPPORTED,
            )
        pre_skip = _whole(query, "pre_skip", str(AAC_PRE_SKIP), 0, PRE_SKIP_MOST)
    cid = query.get("conversation_id") or query.get("client_conversation_id") or None
    if cid is not None and not valid_id(cid):
        raise RefusedError(400, "bad_parameter", BAD_CONVERSATION_ID)
    resume, mismatch = _resume(query, dialect, cid)
    return Opening(AudioFormat(codec, rate, channels, pre_skip), cid, resume, mismatch)


def _resume(query: Mapping[str, str], dialect: Dialect, cid: str | None) -> tuple[int | None, str | None]:
    text = query.get("session")
    if not text or dialect == "plain":
        return None, None
    if not (text.isascii() and text.isdigit() and len(text) <= EPOCH_DIGITS):
        return None, "`session` must be one that `ready` named"
    if cid is None:
        return None, "`session` needs the `conversation_id` that `ready` named with it"
    return int(text), None


def _whole(query: Mapping[str, str], name: str, default: str, least: int, most: int) -> int:
    text = query.get(name) or default
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise RefusedError(400, "bad_parameter", f"`{name}` must be a whole number from {least} to {most}")
