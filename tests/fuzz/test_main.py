"""The command: what it says without running anything."""

import sys
from types import SimpleNamespace

import pytest

from tapedeck_fuzz import __main__ as command
from tapedeck_fuzz.target import target_names


class Version(SimpleNamespace):
    def __ge__(self, other):
        return (self.major, self.minor) >= other


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fuzz", *arguments])
        return command.main(), capsys.readouterr().out

    return run


def test_it_lists_its_targets(run):
    assert run("--list") == (0, "\n".join(target_names()) + "\n")


def test_it_says_that_atheris_is_not_there_for_a_newer_python(run, monkeypatch):
    monkeypatch.setattr(command.sys, "version_info", Version(major=3, minor=14))
    status, text = run("ogg")
    assert status == 2
    assert "atheris has no build for Python 3.14" in text


def test_it_refuses_targets_that_there_are_not(run, monkeypatch):
    monkeypatch.setattr(command.sys, "version_info", Version(major=3, minor=11))
    status, text = run("ogg", "oggg")
    assert status == 2
    assert "no target oggg" in text


def test_it_adds_up_nothing(run, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "RUNS", tmp_path / "runs.jsonl")
    assert run("--tally") == (0, "all              0 inputs\n")


def test_words_are_written_as_libfuzzer_reads_them():
    assert command._escaped(b'a"\\\x00\xff') == "a\\x22\\x5c\\x00\\xff"
