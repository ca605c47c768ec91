"""The command of the simulation."""

from tapedeck_testing.simulation import many as parts
from tapedeck_testing.simulation.__main__ import main
from tapedeck_testing.simulation.chance import RATES


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
    assert lines[-1].startswith("seed 40")


def test_a_failing_seed_is_named_with_its_reason(capsys, monkeypatch):
    def failing(seeds):
        return parts.Tally(seeds=len(seeds), failed=[(seeds.start, "lost")])

    monkeypatch.setattr(parts, "some", failing)
    assert main(["--seeds", "2"]) == 1
    out = capsys.readouterr().out
    assert "seed 0 FAILED: lost" in out
    assert "--trace --seed 0" in out


def test_it_stops_after_its_time(capsys):
    assert main(["--seeds", "1000", "--seconds", "-1"]) == 0
    assert "0 histories" in capsys.readouterr().out
