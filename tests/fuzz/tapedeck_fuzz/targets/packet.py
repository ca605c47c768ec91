"""`audiocodec.packet.packet_facts`, judged by the RFC written down a second time, and by the decoder."""

from random import Random

from audiocodec import Decoder
from audiocodec.errors import BadPacketError
from audiocodec.packet import MAX_PACKET_BYTES, packet_durations, packet_facts
from tapedeck_fuzz import edits, opus_by_the_rfc
from tapedeck_fuzz.target import Raw, Target, demand

_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)


def check(data: bytes) -> int | None:
    """Taken exactly if RFC 6716 §3.4 takes it; a decoder then gives so many samples, or refuses what is inside."""
    sizes = opus_by_the_rfc.frame_sizes(data) if len(data) <= MAX_PACKET_BYTES else None
    try:
        facts = packet_facts(data)
    except BadPacketError as error:
        demand(str(error).startswith("Opus packet"), f"the error names no structure: {error}")
        demand(sizes is None, "refused, but the RFC takes it")
        demand(not _durations(data), "refused alone, and taken among others")
        return None
    demand(sizes is not None, "taken, but the RFC refuses it")
    demand(facts.frames == len(sizes or ()), f"{facts.frames} frames")
    demand(facts.samples == facts.frames * opus_by_the_rfc.frame_samples(data[0]), f"{facts.samples} samples")
    demand(facts.channels == 1 + (data[0] >> 2 & 1), f"{facts.channels} channels")
    demand(
        _durations(data) == [120, facts.samples, facts.samples], "another duration among others than alone"
    )
    if len(data) % 8 == 0:  # decoding costs many times what parsing does
        rate, channels = _RATES[sum(data) % 5], 1 + sum(data) % 2
        decoder = Decoder(rate, channels)
        for _ in range(2):  # the second time on what the first left behind
            try:
                pcm = decoder.decode(data)
            except BadPacketError:
                return 0
            demand(len(pcm) == facts.samples * rate // 48_000 * channels * 2, f"{len(pcm)} bytes of PCM")
    return 0


def _durations(data: bytes) -> list[int]:
    """Of the packet twice, after one of 2.5 ms; nothing where it is refused."""
    try:
        return packet_durations([b"\xe0\xff\xfe", data, data])
    except BadPacketError:
        return []


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """Another count of frames, other lengths, more or less padding in front of the same frames."""
    if len(data) < 2:
        return raw(data)
    toc, count = data[0], data[1]
    match random.randrange(5):
        case 0:
            toc = toc & ~3 | random.randrange(4)
        case 1:
            count = random.choice((0, 1, 2, 3, 6, 47, 48, 49, 63)) | random.choice((0, 0x40, 0x80, 0xC0))
        case 2:
            lengths = bytes(
                random.choice((0, 1, 2, 3, 251, 252, 253, 254, 255)) for _ in range(random.randrange(6))
            )
            return bytes((toc, count)) + lengths + data[2:]
        case 3:
            return data + bytes(random.choice((1, 2, 3, 254, 1275, 1276)))
        case _:
            return bytes((toc, count)) + edits.raw(data[2:], random)
    return bytes((toc, count)) + data[2:]


TARGET = Target(check, mutate, max_bytes=3000, words=(b"\xfb\x41\xff", b"\xfc\xff", b"\x0b\x82"))
