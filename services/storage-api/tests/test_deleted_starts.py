"""Times at which objects began that were deleted with their audio."""

from audiobus.deletions import Noted
from storage_api.deleted_starts import deleted_starts


def test_only_what_was_deleted_with_its_audio_counts():
    path = "chunks/u/c/1700000000.{:03}-1700000001.000.batch.bin".format
    noted = {
        path(1): Noted(5, given_up=False),
        path(2): Noted(0, given_up=False),
        path(3): Noted(5, given_up=True),
        path(4): Noted(5, given_up=False, withdrawn=True),
        "chunks/u/c/1700000000.005.bin": Noted(5, given_up=False),
        "no audio": Noted(5, given_up=False),
    }
    assert deleted_starts(noted) == {1_700_000_000_001, 1_700_000_000_002, 1_700_000_000_005}
    assert deleted_starts(
        noted | {path(6).replace("17000000", "17000001"): noted[path(1)]}, [1_700_000_000]
    ) == {
        1_700_000_000_001,
        1_700_000_000_002,
        1_700_000_000_005,
    }
    assert deleted_starts(noted, [1_700_000_001]) == frozenset()
