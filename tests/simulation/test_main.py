"""The command of the simulation."""

from collections import Counter

import pytest

from tapedeck_testing.simulation import __main__ as command
from tapedeck_testing.simulation import many as parts
from tapedeck_testing.simulation.__main__ import main
from tapedeck_testing.simulation.chance import RATES, Fixed
from tapedeck_testing.simulation.outcome import run


def test_it_runs_histories_and_says_how_often_each_fault_hit(capsys):
    assert main(["--seeds", "3", "--from", "40"]) == 0
    out = capsys.readouterr().out
    assert "3 histories" in out
    assert "0 failed" in out
    assert all(kind in out for kind in RATES)


def test_one_is_told_in_full(capsys):
    assert main(["--seed", "40", "--trace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("append" in line for line in lines)
    assert lines[-2].startswith("seed 40")
    assert lines[-1].startswith("held")


def test_a_failing_seed_is_named_with_its_reason(capsys, monkeypatch):
    def failing(seeds, _fixed):
        return parts.Tally(seeds=len(seeds), failed=[(seeds.start, "lost")])

    monkeypatch.setattr(parts, "some", failing)
    assert main(["--seeds", "2"]) == 1
    out = capsys.readouterr().out
    assert "seed 0 FAILED: lost" in out
    assert "--trace --seed 0" in out


def test_a_run_of_many_fails_if_a_kind_of_fault_never_hit(capsys, monkeypatch):
    hits = Counter(dict.fromkeys(RATES, 1))
    monkeypatch.setattr(parts, "some", lambda seeds, _fixed: parts.Tally(len(seeds), hits=Counter(hits)))
    monkeypatch.setattr(command, "ENOUGH", 50)
    assert main(["--seeds", "50"]) == 0
    assert "never hit" not in capsys.readouterr().out
    missed = list(RATES)[3]
    del hits[missed]
    assert main(["--seeds", "50"]) == 1
    assert f"never hit: {missed}" in capsys.readouterr().out
    assert main(["--seeds", "49"]) == 0


def test_what_all_histories_have_is_said_again_where_one_is_replayed(capsys, monkeypatch):
    fixed = ["--second", "--fault", "bucket: full", "--fault", "bucket: stored damaged"]
    assert main([*fixed, "--seed", "40"]) == 0
    [told, _] = capsys.readouterr().out.splitlines()
    outcome = run(40, fixed=Fixed(second=True, faults=("bucket: full", "bucket: stored damaged")))
    assert told.endswith(f"digest {outcome.digest:08x}")
    assert outcome.digest != run(40).digest

    def failing(seeds, _fixed):
        return parts.Tally(seeds=len(seeds), failed=[(seeds.start, "lost")])

    monkeypatch.setattr(parts, "some", failing)
    assert main([*fixed, "--seeds", "1"]) == 1
    again = capsys.readouterr().out.splitlines()[-1]
    words = "--second --fault 'bucket: full' --fault 'bucket: stored damaged' --trace --seed 0"
    assert again == f"again: python -m tapedeck_testing.simulation {words}"


def test_a_kind_of_faults_that_there_is_not_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--fault", "bucket: on fire", "--seeds", "1"])
    assert "bucket: stored damaged" in capsys.readouterr().err


def test_it_stops_after_its_time(capsys):
    assert main(["--seeds", "1000", "--seconds", "-1"]) == 0
    assert "0 histories" in capsys.readouterr().out
