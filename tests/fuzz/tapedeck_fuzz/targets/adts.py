"""`audiocodec.adts.adts_frames`: a message of a device that sends AAC."""

from audiocodec.adts import MAX_FRAMES, SAMPLE_RATES, adts_frames
from audiocodec.errors import BadAdtsError
from tapedeck_fuzz import adts_by_hand
from tapedeck_fuzz.target import Target, demand


def check(data: bytes) -> int | None:
    """Taken: the frames fill the message, their parts lie in them in order, and each field is what the standard has there."""
    try:
        frames = adts_frames(data)
    except BadAdtsError as error:
        demand(str(error).startswith("ADTS"), f"the error names no structure: {error}")
        return None
    judged = adts_by_hand.split(data)
    demand(
        0 < len(frames) == len(judged) <= MAX_FRAMES, f"{len(frames)} frames, where there are {len(judged)}"
    )
    at = 0
    for frame, truth in zip(frames, judged, strict=True):
        demand(truth.syncword == 0xFFF and truth.layer == 0, "no frame begins there")
        demand(frame.size == truth.length == 7 + len(truth.body), f"{frame.size} bytes")
        demand(frame.sample_rate == SAMPLE_RATES[truth.rate_index], f"{frame.sample_rate} Hz")
        demand(frame.channels == (8 if truth.channels == 7 else truth.channels), f"{frame.channels} channels")
        demand(frame.samples == 1024 * (truth.blocks_less_one + 1), f"{frame.samples} samples")
        reached = at + 7 + truth.extra_bytes
        for begin, end in frame.parts:
            demand(reached <= begin < end <= at + frame.size, f"a part from {begin} to {end}")
            reached = end
        at += frame.size
    demand(at == len(data), "bytes left over")
    return sum(end - begin for frame in frames for begin, end in frame.parts)


TARGET = Target(
    check,
    adts_by_hand.mutate,
    max_bytes=4096,
    words=(b"\xff\xf1\x60\x40", b"\xff\xf9\x4c\x80", b"\xff\xf0"),
)
