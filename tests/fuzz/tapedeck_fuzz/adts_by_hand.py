"""ADTS frames written down a second time (ISO/IEC 13818-7 §6.2), field by field, for judging and for changing."""

from dataclasses import dataclass, fields, replace
from random import Random
from typing import Any

from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw

_WIDTHS = {
    "syncword": 12, "mpeg_2": 1, "layer": 2, "unprotected": 1, "profile": 2, "rate_index": 4, "private": 1,
    "channels": 3, "original": 1, "home": 1, "copyright_bit": 1, "copyright_start": 1, "length": 13, "fullness": 11,
    "blocks_less_one": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """The fixed and the variable header (§6.2.1), and what follows up to the told length."""

    syncword: int
    mpeg_2: int
    layer: int
    unprotected: int
    profile: int
    rate_index: int
    private: int
    channels: int
    original: int
    home: int
    copyright_bit: int
    copyright_start: int
    length: int
    fullness: int
    blocks_less_one: int
    body: bytes

    @property
    def extra_bytes(self) -> int:
        """Positions and CRC between header and first raw data block."""
        return 0 if self.unprotected else 2 * self.blocks_less_one + 2


def split(data: bytes) -> list[Frame]:
    """The frames, one behind the other by their told lengths, as far as there are headers."""
    frames = []
    at = 0
    while len(data) - at >= 7:
        bits = f"{int.from_bytes(data[at : at + 7], 'big'):056b}"
        values: dict[str, Any] = {}
        for name, width in _WIDTHS.items():
            values[name] = int(bits[:width], 2)
            bits = bits[width:]
        frame = Frame(**values, body=b"")
        end = at + max(7, frame.length)
        frames.append(replace(frame, body=data[at + 7 : end]))
        at = end
    return frames


def join(frames: list[Frame]) -> bytes:
    """The bytes of the frames, with the lengths that they tell."""
    return b"".join(_bytes(frame) for frame in frames)


def _bytes(frame: Frame) -> bytes:
    bits = "".join(f"{getattr(frame, name) & (1 << width) - 1:0{width}b}" for name, width in _WIDTHS.items())
    return int(bits, 2).to_bytes(7, "big") + frame.body


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """A header field or the body of a frame changed, lengths mostly right again; or frames left out or doubled."""
    frames = split(data)
    if not frames:
        return raw(data)
    at = random.randrange(len(frames))
    match random.randrange(8):
        case 0:
            name = random.choice([field.name for field in fields(Frame) if field.name != "body"])
            changed: dict[str, Any] = {name: random.randrange(1 << _WIDTHS[name])}
            frames[at] = replace(frames[at], **changed)
            return join(frames)
        case 1:
            frames = edits.items(frames * random.choice((1, 1, 9)), random)
        case 2:
            frames[at] = _of_blocks(frames[at], random)
        case 3:
            return join(frames) + random.choice((b"\0", b"\xff\xf1", data[:9]))
        case 4:
            frames[at] = replace(frames[at], rate_index=random.randrange(13), channels=random.randrange(1, 8))
        case 5:
            frames[at] = replace(
                frames[at], body=frames[at].body[: random.randrange(len(frames[at].body) + 1)]
            )
        case _:
            frames[at] = replace(frames[at], body=raw(frames[at].body))
    return join([replace(frame, length=7 + len(frame.body)) for frame in frames])


def _of_blocks(frame: Frame, random: Random) -> Frame:
    """The same body as one to four raw data blocks, with CRCs and, about right, with positions."""
    blocks = random.randrange(1, 5)
    body = frame.body[frame.extra_bytes :]
    positions = sorted(random.randrange(len(body) + 3) for _ in range(blocks - 1))
    if random.randrange(6) == 0:
        positions.reverse()
    extra = b"".join(position.to_bytes(2, "big") for position in positions) + b"\0\0"
    unprotected = random.randrange(2)
    return replace(
        frame, unprotected=unprotected, blocks_less_one=blocks - 1, body=body if unprotected else extra + body
    )
