"""What is remembered of objects."""

import pytest

from audiostore.store import ObjectInfo
from servicekit.metrics import Metrics
from storage_api.metrics import StorageMetrics
from storage_api.stored_object import OlderFacts, Verdict
from storage_api.verdicts import BELIEVED_S, FIRST_BELIEVED_S, Verdicts

ONE, OTHER = (ObjectInfo(name, 1, None, None) for name in ("one", "other"))
GOOD = Verdict(OlderFacts("pcm", 48))


@pytest.fixture
def metrics():
    return StorageMetrics(Metrics("storage-api", "test"))


@pytest.fixture
def verdicts(metrics):
    return Verdicts(metrics)


def test_what_is_remembered_is_recalled_of_that_very_object(verdicts):
    assert verdicts.recall(ONE) is None
    assert verdicts.remember(ONE, GOOD) == GOOD
    assert verdicts.recall(ONE) == GOOD
    assert verdicts.recall(OTHER) is None
    assert verdicts.recall(ObjectInfo("one", 2, None, None)) is None


def test_what_was_refused_stays_so_and_is_counted_once(verdicts, metrics):
    bad = Verdict(None, "damaged")
    verdicts.remember(ONE, bad)
    assert verdicts.remember(ONE, GOOD) == bad
    assert verdicts.recall(ONE) == bad
    assert metrics.unreadable["damaged"]._value.get() == 1


def test_other_keys_may_open_what_had_none_or_a_wrong_one(verdicts):
    third = ObjectInfo("third", 1, 7, None)
    verdicts.keys_are(1)
    verdicts.remember(ONE, Verdict(None, "no_key"))
    verdicts.remember(third, Verdict(None, "damaged"))
    verdicts.remember(OTHER, Verdict(None, "too_large"))
    verdicts.keys_are(1)
    assert verdicts.recall(ONE) is not None
    verdicts.keys_are(2)
    assert verdicts.recall(ONE) is verdicts.recall(third) is None
    assert verdicts.in_doubt(third)
    assert verdicts.recall(OTHER) is not None
    assert verdicts.remember(third, GOOD) == verdicts.recall(third) == GOOD
    assert not verdicts.in_doubt(third)


def test_what_was_refused_is_doubted_after_a_while_and_what_is_good_never(metrics):
    now_s = 5.0
    verdicts = Verdicts(metrics, lambda: now_s)
    bad, known = Verdict(None, "damaged"), ObjectInfo("one", 1, 7, None)
    verdicts.remember(OTHER, GOOD)
    for info in (ONE, known):  # of the second a checksum tells that it is the same
        verdicts.remember(info, bad)
    believed_s = FIRST_BELIEVED_S
    for _ in range(9):
        now_s += believed_s - 0.5
        assert verdicts.recall(ONE) == verdicts.remember(ONE, GOOD) == bad
        assert verdicts.remember(ONE, bad) == bad
        now_s += believed_s
        assert verdicts.recall(ONE) is None
        assert verdicts.in_doubt(ONE)
        assert (verdicts.recall(known), verdicts.recall(OTHER)) == (bad, GOOD)
        assert verdicts.remember(ONE, bad) == verdicts.recall(ONE) == bad
        believed_s = min(BELIEVED_S, 2 * believed_s)
    assert metrics.unreadable["damaged"]._value.get() == 2  # found out before, and not again
    now_s += BELIEVED_S
    assert verdicts.remember(ONE, GOOD) == verdicts.recall(ONE) == GOOD


def test_what_may_be_put_right_is_looked_at_again_at_once(verdicts):
    bad, known = Verdict(None, "damaged"), ObjectInfo("one", 1, 7, None)
    for info in (ONE, known):
        verdicts.remember(info, bad)
    for info in (ONE, known, OTHER):
        verdicts.doubt(info)
    assert (verdicts.recall(ONE), verdicts.recall(known), verdicts.recall(OTHER)) == (None, bad, None)
    assert verdicts.remember(ONE, GOOD) == verdicts.recall(ONE) == GOOD


def test_a_checksum_that_its_writer_only_claimed_tells_nothing(metrics):
    """An object that was stored damaged is put right in place: it says of itself what it said before."""
    now_s = 5.0
    verdicts = Verdicts(metrics, lambda: now_s)
    claimed = ObjectInfo("one", 1, 7, None, claimed=True)
    verdicts.remember(claimed, Verdict(None, "damaged"))
    now_s += BELIEVED_S
    assert verdicts.recall(claimed) is None
    assert verdicts.remember(claimed, GOOD) == verdicts.recall(claimed) == GOOD


def test_memory_is_bounded(verdicts, monkeypatch):
    monkeypatch.setattr("storage_api.verdicts.REMEMBERED_OBJECTS", 3)
    for number in range(10):
        verdicts.remember(ObjectInfo(f"good {number}", 1, None, None), GOOD)
        verdicts.remember(ObjectInfo(f"bad {number}", 1, None, None), Verdict(None, "damaged"))
    assert len(verdicts._known) == len(verdicts._refused) == 3
    assert verdicts.recall(ObjectInfo("bad 9", 1, None, None)) is not None


def test_a_refusal_that_is_handed_over_is_a_doubt(metrics):
    here, there = Verdicts(metrics), Verdicts(metrics)
    known = ObjectInfo("one", 1, 7, None)
    there.remember(known, GOOD)
    here.remember(OTHER, GOOD)
    for info in (known, OTHER):
        here.hand_over([info], there)
    assert (there.recall(known), here.recall(OTHER), there.recall(OTHER)) == (GOOD, GOOD, None)
    here.remember(known, Verdict(None, "damaged"))
    here.hand_over([known], there)
    assert there.recall(known) is None
    assert there.in_doubt(known)
    assert not here.in_doubt(known)
    assert there.remember(known, GOOD) == there.recall(known) == GOOD
    here.hand_over([known], there)
    assert there.recall(known) == GOOD
