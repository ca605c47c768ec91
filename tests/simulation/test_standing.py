"""Where a conversation stands, and what no script may do to it."""

from dataclasses import replace

from audiobus.cut import Cut
from audiobus.entry_id import EntryId
from tapedeck_testing.simulation.standing import Standing, stepped_back


def test_what_was_settled_stays_so_and_is_never_cut_again():
    cut = Cut(1, "7-30", "7-50", "", "standard", "full")
    standing = Standing.read(b"7-90", b"7-20", b"960", cut.encode())
    assert standing == Standing(EntryId(7, 90), EntryId(7, 20), 960, EntryId(7, 30))
    assert stepped_back(Standing(), standing) == []
    finished = replace(standing, settled=EntryId(7, 50), cut_from=None)
    assert stepped_back(standing, finished) == []
    found = {
        "settled went back": standing,
        "newest went back": replace(finished, newest=EntryId(7, 80)),
        "received went back": replace(finished, received=900),
        "the newest is": replace(finished, settled=EntryId(8, 1)),
        "was settled before": replace(finished, cut_from=EntryId(7, 30)),
    }
    for reason, after in found.items():
        assert any(reason in text for text in stepped_back(finished, after)), reason
    assert stepped_back(finished, found["the newest is"], lost=True) == []
