"""What a part of the histories says where one of them is wrong, and where it proves too little."""

from collections import Counter

import pytest

from tapedeck_testing.simulation import held as parts
from tapedeck_testing.simulation.chance import RATES
from tapedeck_testing.simulation.many import Tally

HIT = Counter(dict.fromkeys(RATES, 1))


def play(monkeypatch, **found):
    monkeypatch.setattr(parts, "some", lambda seeds: Tally(len(seeds), **{"hits": HIT, "looks": 1, **found}))
    parts.held(150)


def test_each_failing_seed_is_named_with_the_command_that_replays_it(monkeypatch):
    play(monkeypatch)
    with pytest.raises(AssertionError) as raised:
        play(monkeypatch, failed=[(157, "lost"), (160, "doubled")])
    text = str(raised.value)
    assert "2 of the seeds 150 to 199 failed" in text
    for seed, reason in ((157, "lost"), (160, "doubled")):
        assert f"seed {seed}: {reason}" in text
        assert f"python -m tapedeck_testing.simulation --trace --seed {seed}" in text


def test_a_part_that_looks_at_nothing_or_in_which_little_breaks_proves_nothing(monkeypatch):
    with pytest.raises(AssertionError, match="a reader looked"):
        play(monkeypatch, looks=0)
    with pytest.raises(AssertionError, match="these faults hit"):
        play(monkeypatch, hits=Counter(dict.fromkeys(list(RATES)[: len(RATES) // 2], 1)))


def test_all_parts_together_are_thousands_and_none_is_played_twice():
    played = [
        seed for first in (*parts.FIRST_HALF, *parts.SECOND_HALF) for seed in range(first, first + parts.PART)
    ]
    assert played == list(range(2_000))
