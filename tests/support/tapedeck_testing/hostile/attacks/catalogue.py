"""All attacks, by kind."""

from typing import Final

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.attacks import (
    audio,
    crowds,
    endless,
    floods,
    framing,
    handshakes,
    http,
    ids,
    slow,
    texts,
    tokens,
)

KINDS: Final[dict[str, tuple[Attack, ...]]] = {
    "framing": framing.ATTACKS,
    "endless": endless.ATTACKS,
    "slow": slow.ATTACKS,
    "floods": floods.ATTACKS,
    "crowds": crowds.ATTACKS,
    "handshakes": handshakes.ATTACKS,
    "http": http.ATTACKS,
    "texts": texts.ATTACKS,
    "audio": audio.ATTACKS,
    "ids": ids.ATTACKS,
    "tokens": tokens.ATTACKS,
}
