"""`audiostore.legacy.records`: the sealed records of the older formats."""

from audiostore.errors import LegacyFormatError
from audiostore.legacy.records import open_records, told_bytes
from tapedeck_fuzz import records_by_hand
from tapedeck_fuzz.records_by_hand import SECRET
from tapedeck_fuzz.sealed_by_hand import UID
from tapedeck_fuzz.target import Target, demand


def check(data: bytes) -> int | None:
    """Taken exactly if the page, written down a second time, takes it; a changed byte or another user is noticed."""
    judged = records_by_hand.split(data)
    told = told_bytes(data)
    demand(0 <= told <= len(data), f"{len(data)} bytes tell of {told}")
    try:
        plain = open_records(data, SECRET, UID)
    except LegacyFormatError as error:
        demand(str(error).startswith("sealed records"), f"the error names no structure: {error}")
        demand(judged is None, "good records are refused")
        return None
    demand(judged is not None and plain == b"".join(judged), "not what was sealed")
    demand(told == len(plain), "another length is told than they have")
    at = sum(data) % len(data)
    demand(
        _refused(data[:at] + bytes((data[at] ^ 0x40,)) + data[at + 1 :], SECRET, UID),
        f"a changed byte at {at}",
    )
    demand(_refused(data, SECRET, UID + "0"), "another user opens it")
    demand(_refused(data, SECRET + " ", UID), "another secret opens it")
    return len(plain)


def _refused(data: bytes, secret: str, uid: str) -> bool:
    try:
        open_records(data, secret, uid)
    except LegacyFormatError:
        return True
    return False


TARGET = Target(
    check,
    records_by_hand.mutate,
    max_bytes=2048,
    words=(b"\0\0\0\x1c", b"\0\0\0\x1d", b"\xff\xff\xff\xff"),
)
