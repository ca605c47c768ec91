"""`audiostore.legacy.blob`: the Opus blob of the older formats."""

from audiostore.errors import LegacyFormatError
from audiostore.legacy.blob import read_blob, told_pcm_bytes
from tapedeck_fuzz import records_by_hand
from tapedeck_fuzz.target import Target, demand


def check(data: bytes) -> int | None:
    """Taken exactly if the page, written down a second time, takes it; the PCM is as long as it says."""
    judged = records_by_hand.blob_parts(data)
    told = told_pcm_bytes(data)
    demand(0 <= told <= 1920 * len(data) and told % 2 == 0, f"{len(data)} bytes tell of {told} bytes of PCM")
    try:
        blob = read_blob(data)
    except LegacyFormatError as error:
        demand(str(error).startswith("Opus blob"), f"the error names no structure: {error}")
        demand(judged is None, "a good blob is refused")
        return None
    demand(judged == (list(blob.packets), blob.pcm_bytes), "not what the page says is in it")
    demand(told == blob.pcm_bytes, "another length is told than it has")
    if len(data) % 4 == 0:  # decoding costs many times what parsing does
        try:
            demand(len(blob.pcm()) == blob.pcm_bytes, "its PCM has another length than it says")
        except LegacyFormatError as error:
            demand("packet" in str(error), f"the error names no structure: {error}")
    return blob.pcm_bytes + sum(map(len, blob.packets))


# 120 ms of silence, 3,840 bytes of PCM, take 2 bytes and their length.
TARGET = Target(
    check,
    records_by_hand.mutate_blob,
    growth=1921,
    max_bytes=2048,
    words=(b"\x02\x00\xe3\x30", b"\x03\x00\xf8\xff\xfe", b"\x80\x02\x00\x00"),
)
