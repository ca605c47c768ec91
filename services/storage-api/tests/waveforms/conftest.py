"""Waveforms as a client gets them, and as they follow from the PCM of the same recording."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec
import numpy as np
import pytest


@dataclass
class Got:
    """An answer."""

    json: dict
    headers: dict

    @property
    def start_s(self) -> float:
        return datetime.fromisoformat(self.headers["tapedeck-start"]).timestamp()

    @property
    def peaks(self) -> np.ndarray:
        """By pixel, channel, and smallest or largest."""
        return np.array(self.json["data"]).reshape(-1, self.json["channels"], 2)


@pytest.fixture
def draw() -> Callable:
    """Asks for a waveform, and sees to it that its members fit together."""

    async def ask(api, conversation, *, token: str = "all-token", **query) -> Got:
        answer = await api.get(conversation, "/waveform", token=token, **query)
        assert answer.status_code == 200, answer.text
        content = answer.json()
        assert (content["version"], content["bits"]) == (2, 8)
        assert len(content["data"]) == content["length"] * content["channels"] * 2
        return Got(content, answer.headers)

    return ask


@pytest.fixture
def plainly() -> Callable:
    """Peaks as they follow from PCM that begins so many frames after the first pixel does."""

    def peaks(pcm, channels: int, size: int, before: int) -> np.ndarray:
        samples = np.asarray(pcm, dtype=np.int32).reshape(-1, channels)
        narrow = np.trunc(samples / 256).astype(int)
        count = -(-(before + len(narrow)) // size)
        found = []
        for pixel in range(count):
            piece = narrow[max(0, pixel * size - before) : (pixel + 1) * size - before]
            found.append(np.stack([piece.min(axis=0), piece.max(axis=0)], axis=1))
        return np.array(found)

    return peaks


@pytest.fixture
def kept(store) -> Callable:
    """What is kept, by name."""

    async def names() -> list[str]:
        return [info.name async for info in store.list("waveforms/")]

    return names


@pytest.fixture
def shift() -> Callable:
    """The same chunks, later in the session."""

    def later(chunks, offset: int):
        return [
            (msgspec.structs.replace(chunk, first_offset=chunk.first_offset + offset), end + offset)
            for chunk, end in chunks
        ]

    return later
