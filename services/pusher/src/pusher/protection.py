"""Protection levels: what of a user's audio must be sealed before it goes to the bucket. Pure.

A user's level decides when a batch is cut; from then on the cut does, whatever the user's settings become. A level that this build does
not know asks for more than it can give, so nothing is stored under it.
"""

from typing import Final

from audiobus.cut import Cut
from audiobus.errors import BadEntryError
from audiostore.names import parse_name
from pusher.errors import NoKeyError

STANDARD: Final = "standard"
ENHANCED: Final = "enhanced"


def must_seal(level: str) -> bool:
    """Whether objects of this level are sealed.

    Raises:
        NoKeyError: nobody here knows how this level is protected.
    """
    if level not in (STANDARD, ENHANCED):
        raise NoKeyError(
            f"the protection level {level[:40]!r} is not known to this build: the audio waits in Redis"
        )
    return level == ENHANCED


def sealed_by(cut: Cut) -> bool:
    """Whether the object of this cut is sealed.

    Raises:
        NoKeyError: as `must_seal`.
        BadEntryError: level and name contradict each other, or it is no name of a batch.
    """
    sealed = must_seal(cut.protection)
    if cut.name:
        name = parse_name(cut.name)
        if name is None or name.sealed is not sealed:
            raise BadEntryError(
                f"cut: {cut.name[-60:]!r} is no name of a batch of the level {cut.protection}"
            )
    return sealed
