"""Why a batch was cut: a closed set, so that every value can be counted from the start."""

from enum import StrEnum
from typing import Final, Self


class Reason(StrEnum):
    """Stands in the cut and in `batches_total{reason}`."""

    SIZE = "size"
    """Nothing more goes in: 60 s, 24 runs, or as many entries as one cut may have."""
    BOUNDARY = "boundary"
    """What comes next cannot share the file: another codec, rate or channel count, an overlap, an encoder that starts anew."""
    AGE = "age"
    """The oldest chunk has waited long enough."""
    PRESSURE = "pressure"
    """Redis' memory is short: the largest and oldest buffers are stored early."""
    IDLE = "idle"
    """Nothing was appended for a while."""
    FINALIZE = "finalize"
    """The client asked for it."""
    END = "end"
    """The session is over."""
    SWITCH = "switch"
    """The client went on in another conversation."""
    FLUSH = "flush"
    """Somebody else asked for it: a service, an operator."""

    @classmethod
    def asked(cls, text: str | None) -> Self:
        """The reason noted with a request to store; what this build does not know counts as `flush`."""
        known = {cls.FINALIZE, cls.END, cls.SWITCH, cls.FLUSH}
        return next((reason for reason in known if reason == text), cls.FLUSH)


HURRIED: Final = frozenset({Reason.PRESSURE, Reason.FLUSH})
"""Many conversations may be stored at one moment for these, and all go on: their next batches must not fall due together."""
