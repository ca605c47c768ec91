"""What was swept just now is remembered, for a while and no more."""

import pytest

from pusher.swept_names import REMEMBERED, SweptNames

NOW = 1_700_000_000_000
LONGEST_MS = 60_000


class Bucket:
    """Any."""


@pytest.fixture
def swept() -> SweptNames:
    return SweptNames(LONGEST_MS)


FIRST, SECOND = Bucket(), Bucket()


@pytest.mark.parametrize(
    ("store", "name", "since_ms", "now_ms", "due"),
    [
        (FIRST, "a", NOW, NOW, False),
        (FIRST, "a", NOW, NOW + 14_999, False),
        (FIRST, "a", NOW, NOW + 15_000, True),
        (FIRST, "a", NOW + 1, NOW + 1, True),  # noted anew
        (FIRST, "b", NOW, NOW, True),
        (SECOND, "a", NOW, NOW, True),
        (FIRST, "a", NOW, NOW - 45_000, False),
        (FIRST, "a", NOW, NOW - 45_001, True),  # the clock was put back
    ],
)
def test_who_was_swept_waits_and_nobody_else(swept, store, name, since_ms, now_ms, due):
    swept.note(FIRST, "a", NOW, NOW + 15_000)
    assert swept.is_due(store, name, since_ms, now_ms) is due


def test_what_is_seen_to_is_forgotten(swept):
    swept.note(FIRST, "a", NOW, NOW + 15_000)
    swept.forget(FIRST, "a")
    swept.forget(FIRST, "never noted")
    assert swept.is_due(FIRST, "a", NOW, NOW)


def test_of_too_many_the_oldest_are_swept_once_more(swept):
    for number in range(REMEMBERED + 1):
        swept.note(FIRST, str(number), NOW, NOW + 15_000)
    assert swept.is_due(FIRST, "0", NOW, NOW)
    assert not swept.is_due(FIRST, "1", NOW, NOW)
    assert len(swept._again) == REMEMBERED
