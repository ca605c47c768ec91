"""Objects in the older formats of our own making: whole ones to break. The project itself never writes these formats."""

import struct
from collections.abc import Callable, Sequence

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audiocodec import Encoder
from tapedeck_testing.recordings import noisy_pcm

UID = "user-1"
OLD_SECRET = "an older secret of thirty-two byt"


def seal_record(plain: bytes, *, secret: str = OLD_SECRET, uid: str = UID, nonce: bytes = bytes(12)) -> bytes:
    key = HKDF(SHA256(), 32, salt=uid.encode(), info=b"user-data-encryption").derive(secret.encode())
    sealed = nonce + AESGCM(key).encrypt(nonce, plain, None)
    return struct.pack(">I", len(sealed)) + sealed


def make_blob(packets: Sequence[bytes], pcm_bytes: int, *, count: int | None = None) -> bytes:
    head = struct.pack("<II", len(packets) if count is None else count, pcm_bytes)
    return head + b"".join(struct.pack("<H", len(packet)) + packet for packet in packets)


@pytest.fixture
def seal() -> Callable[..., bytes]:
    return seal_record


@pytest.fixture
def blob() -> Callable[..., bytes]:
    return make_blob


@pytest.fixture(scope="session")
def packets() -> tuple[bytes, ...]:
    """Ten packets of 20 ms, none like another."""
    return tuple(Encoder(16_000, complexity=0).encode(noisy_pcm(0.2, 1)))
