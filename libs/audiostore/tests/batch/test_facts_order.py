"""Runs that could not lie in one file are refused where facts are read, not only where the whole file is."""

from dataclasses import replace

import pytest

from audiocodec.ogg import read_ogg_headers
from audiostore.batch import batch_facts, write_batch
from audiostore.errors import BatchFormatError
from audiostore.facts import head_and_tags, metadata


@pytest.mark.parametrize(
    "both", [head_and_tags, lambda facts: metadata(facts, b"")], ids=["tags", "metadata"]
)
@pytest.mark.parametrize(
    ("moved_ms", "defect"),
    [(-5_000, "cannot follow"), (-1_000_000, "cannot follow"), (61_000, "cannot follow"), (50_000, None)],
)
def test_runs_are_in_order_and_near_each_other(make_batch, both, moved_ms, defect):
    facts = batch_facts(read_ogg_headers(write_batch(make_batch("two_runs"))))
    first, second = facts.spans
    moved = replace(facts, spans=(first, replace(second, run_start_ms=second.run_start_ms + moved_ms)))
    if defect is None:
        assert batch_facts(both(moved)).spans == moved.spans
    else:
        with pytest.raises(BatchFormatError, match=defect):
            batch_facts(both(moved))


def test_no_run_is_longer_than_a_file(make_batch):
    facts = batch_facts(read_ogg_headers(write_batch(make_batch("whole"))))
    (span,) = facts.spans
    with pytest.raises(BatchFormatError, match="longer than 120000 ms"):
        batch_facts(head_and_tags(replace(facts, spans=(replace(span, samples=121 * 48_000),))))
