"""The older sealed records and the Opus blob, written down a second time from the page that specifies them."""

import struct
from random import Random

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tapedeck_fuzz import edits, opus_by_the_rfc
from tapedeck_fuzz.sealed_by_hand import UID, derived
from tapedeck_fuzz.target import Raw

SECRET = "an older secret, of no fixed length"
_CIPHER = AESGCM(derived(SECRET.encode(), UID, b"", info=b"user-data-encryption", size=32))


def join(plains: list[bytes], claimed: int | None = None) -> bytes:
    """Records of these plaintexts, the first one's length as claimed. Nonces follow from place and size, for repeatable files."""
    out = []
    for number, plain in enumerate(plains):
        nonce = struct.pack(">III", 1, number, len(plain))
        body = nonce + _CIPHER.encrypt(nonce, plain, None)
        length = len(body) if claimed is None or number else claimed
        out.append(struct.pack(">I", length & 0xFFFF_FFFF) + body)
    return b"".join(out)


def split(data: bytes) -> list[bytes] | None:
    """The plaintexts; None where the bytes are not one or more records, whole and authentic."""
    plains = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 4 + size]
        if at + 4 > len(data) or size < 28 or len(body) < size:
            return None
        try:
            plains.append(_CIPHER.decrypt(body[:12], body[12:], None))
        except InvalidTag:
            return None
        at += 4 + size
    return plains or None


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """Plaintexts changed, moved, parted in another way or with a wrong length before them, and encrypted again."""
    plains = split(data)
    if plains is None:
        return raw(data)
    at = random.randrange(len(plains))
    match random.randrange(5):
        case 0:
            return join(edits.items(plains, random))
        case 1:
            return join(plains, claimed=edits.number(len(plains[0]) + 28, random))
        case 2:
            whole = b"".join(plains)
            cut = random.randrange(len(whole) + 1)
            return join([whole[:cut], whole[cut:]])
        case 3:
            return join(plains) + join(plains)[: random.randrange(64)]
        case _:
            plains[at] = raw(plains[at])
            return join(plains)


def blob(packets: list[bytes], pcm_bytes: int, count: int | None = None) -> bytes:
    """An Opus blob."""
    header = struct.pack(
        "<II", (len(packets) if count is None else count) & 0xFFFF_FFFF, pcm_bytes & 0xFFFF_FFFF
    )
    return header + b"".join(
        struct.pack("<H", len(packet)) + packet for packet in packets if len(packet) < 65_536
    )


def blob_parts(data: bytes) -> tuple[list[bytes], int] | None:
    """Packets and PCM bytes of a blob; None where it is none: cut short, or a packet that is no Opus, or more PCM told than there is."""
    if len(data) < 8:
        return None
    count, pcm_bytes = struct.unpack_from("<II", data)
    packets = []
    at = 8
    samples = 0
    for _ in range(min(count, len(data))):
        size = int.from_bytes(data[at : at + 2], "little")
        packet = data[at + 2 : at + 2 + size]
        sizes = opus_by_the_rfc.frame_sizes(packet)
        if at + 2 > len(data) or len(packet) < size or sizes is None:
            return None
        samples += len(sizes) * opus_by_the_rfc.frame_samples(packet[0])
        packets.append(packet)
        at += 2 + size
    even = pcm_bytes // 2 * 2
    return (packets, even) if len(packets) == count and even <= samples // 3 * 2 else None


def mutate_blob(data: bytes, random: Random, raw: Raw) -> bytes:
    """A packet, a count or the order changed; lengths and, mostly, counts right again."""
    parts = blob_parts(data)
    if parts is None or not parts[0]:
        return raw(data)
    packets, pcm_bytes = parts
    at = random.randrange(len(packets))
    match random.randrange(6):
        case 0:
            packets = edits.items(packets, random)
        case 1:
            return blob(packets, pcm_bytes, edits.number(len(packets), random))
        case 2:
            return blob(packets, edits.number(pcm_bytes, random))
        case 3:
            toc = packets[at][:1]
            packets[at] = random.choice(
                (toc, b"\xe3\x30" + bytes(48), b"\xe3\x70\x00", bytes((toc[0] | 3, 1)) + packets[at][1:], b"")
            )
        case 4:
            return blob(packets, pcm_bytes) + random.choice((b"\0", data))
        case _:
            packets[at] = raw(packets[at])
    samples = sum(
        len(opus_by_the_rfc.frame_sizes(packet) or ()) * opus_by_the_rfc.frame_samples(packet[0])
        for packet in packets
        if packet
    )
    return blob(packets, min(pcm_bytes, samples // 3 * 2) if random.randrange(4) else pcm_bytes)
