"""`audiocodec.aac.AacDecoder`: three messages of a device through one decoder, FFmpeg's included. Slow."""

from random import Random

from audiocodec.aac import AacDecoder
from audiocodec.adts import adts_frames
from audiocodec.errors import BadAdtsError
from tapedeck_fuzz import adts_by_hand, fields
from tapedeck_fuzz.target import Raw, Target, demand

MESSAGES = 3


def check(data: bytes) -> int | None:
    """Whatever is in the frames: each that is taken gives exactly its samples, and the next message decodes as ever."""
    messages = [message or b"" for message in fields.split(data, MESSAGES)]
    decoder = None
    size = rate = 0
    for message in messages:
        try:
            frames = adts_frames(message)
            if decoder is None:
                # Every other recording is taken for HE-AAC, which plays at twice the header's rate.
                decoder = AacDecoder(frames[0].sample_rate * (1 + len(data) % 2))
                rate = frames[0].sample_rate * (1 + len(data) % 2)
            pcm = decoder.decode(message)
        except BadAdtsError as error:
            demand(str(error).startswith(("ADTS", "sample rate")), f"the error names no structure: {error}")
            continue
        due = 2 * sum(frame.samples * rate // frame.sample_rate for frame in frames)
        demand(len(pcm) == due, f"{len(pcm)} bytes of PCM, where the headers make {due}")
        size += len(pcm)
    if decoder is None:
        return None
    demand(decoder.spoiled <= sum(map(len, messages)) // 8, "more frames spoiled than there are")
    return size


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """One of the messages changed as ADTS, or two of them changed about."""
    messages = [message or b"" for message in fields.split(data, MESSAGES)]
    at = random.randrange(MESSAGES)
    if random.randrange(8) == 0:
        messages[at] = messages[random.randrange(MESSAGES)]
    else:
        messages[at] = adts_by_hand.mutate(messages[at], random, raw)
    return fields.join(messages)


# A frame of 8 bytes may say four blocks, at half the rate of the output.
TARGET = Target(check, mutate, growth=2048, max_bytes=4096, words=(b"\xff\xf1\x60\x40", b"\xff\xf9\x4c\x80"))
