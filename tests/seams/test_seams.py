"""Seamless batches: any recording, cut and killed anyhow, decoded batch by batch, gives what one decoder running through gives.

`TAPEDECK_SEAM_CASES=1000` runs a thousand cases and prints (with `-s`) what was heard at their seams; docs/decisions/0005 says why.
"""

import os

import pytest

from tapedeck_testing.seams.run import Summary, run_cases

CASES = int(os.environ.get("TAPEDECK_SEAM_CASES", "40"))
FEW = 0.003
"""Share of seams that may miss 35 dB: a place where somebody asked for the cut, and no pre-roll is good enough."""
WORST_DB = 20.0
LAG_SAMPLES = 6
"""An eighth of a millisecond: what Opus itself may be off by at 8 kHz."""


@pytest.fixture(scope="module")
def summary() -> Summary:
    """The judge itself asserts that nothing is missing, double or elsewhere."""
    summary = run_cases(range(CASES))
    print("", *summary.lines(), sep="\n")  # noqa: T201 - with -s, the figures of a long run
    return summary


@pytest.mark.timeout(max(300, 5 * CASES))
def test_there_are_seams_of_every_kind(summary):
    assert {seam.mode for seam in summary.heard} >= {"silk", "hybrid", "celt"}
    assert {seam.asked for seam in summary.heard} == {True, False}
    assert summary.deaths
    assert summary.kills
    assert summary.restarts_db


def test_at_a_seam_a_decoder_gives_what_one_running_through_gives(summary):
    assert len(summary.below) <= FEW * len(summary.heard) + 1, "\n".join(summary.lines())
    assert min(seam.db for seam in summary.heard) >= WORST_DB, "\n".join(summary.lines())


def test_where_the_cutter_may_choose_it_finds_a_good_place(summary):
    assert not [seam for seam in summary.below if not seam.asked and CASES <= 100], "\n".join(summary.lines())


def test_nearly_all_pre_rolls_are_320_ms(summary):
    longer = [seam for seam in summary.heard if seam.preroll_ms >= 320 + 120]
    assert len(longer) <= 0.15 * len(summary.heard)


def test_sample_n_lies_at_time_n(summary):
    assert summary.lags
    assert max(map(abs, summary.lags)) <= LAG_SAMPLES
