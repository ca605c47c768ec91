from audiobus import Conversation
from pusher.kept_back import FORGET_MS, KeptBack

A, B = Conversation("u", "a"), Conversation("u", "b")


def test_reasons_are_counted_and_go_when_it_goes_on():
    kept = KeptBack()
    assert kept.complaints(0) == []
    kept.waits(A, "no key", 10)
    kept.waits(A, "no key", 20)
    kept.waits(B, "no key", 20)
    assert kept.complaints(20) == ["2 conversations kept back: no key"]
    kept.waits(B, "another key", 30)
    assert len(kept.complaints(30)) == 2
    kept.goes_on(A)
    kept.goes_on(A)
    assert kept.complaints(30) == ["1 conversations kept back: another key"]


def test_what_nobody_tried_again_here_is_forgotten():
    kept = KeptBack()
    kept.waits(A, "no key", 0)
    assert kept.complaints(FORGET_MS - 1)
    assert kept.complaints(FORGET_MS) == []
