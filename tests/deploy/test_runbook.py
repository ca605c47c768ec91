"""The runbook: a section for each alert, in the three parts that somebody at night looks for, with commands that are there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tapedeck_testing.metrics_page import known_labels
from tapedeck_testing.queries import alerts, panels

RUNBOOK = (Path(__file__).parents[2] / "docs/runbook.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (Tapedeck\w+)\n(.*?)(?=^## |^# |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))


def test_each_alert_has_a_section_and_each_section_an_alert():
    assert list(SECTIONS) == list(alerts())


@pytest.mark.parametrize("name", SECTIONS)
def test_it_says_what_users_feel_how_to_see_why_and_what_to_do(name):
    text = SECTIONS[name].lower()
    assert "**users feel**" in text
    assert "see why**" in text
    assert "**do**" in text
    assert "*tried*" in text
    for anchor in re.findall(r"\]\(#(\w+)\)", SECTIONS[name]):
        assert anchor in {one.lower() for one in SECTIONS}, anchor


def test_metrics_and_panels_that_it_names_are_there():
    for name in set(re.findall(r"`(tapedeck_\w+)", RUNBOOK)):
        assert name in known_labels(), name
    titles = {panel["title"] for panel in panels()}
    italic = set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", RUNBOOK)) - {"Tried"}
    assert italic <= titles, italic - titles


def test_commands_that_it_names_are_there():
    named = set(
        re.findall(
            r"tapedeck ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", "\n".join(re.findall(r"`([^`]+)`", RUNBOOK))
        )
    )
    named |= {("doctor", "")}
    groups: dict[str, set[str]] = {}
    for command, sub in named:
        groups.setdefault(command, set()).add(sub)
    listed = helped()
    for command, subs in groups.items():
        assert re.search(rf"^[│ ]+{command}\s", listed, re.MULTILINE), command
        if command in {"buffers", "dead", "keys"}:
            of_group = helped(command)
            for sub in subs - {""}:
                assert re.search(rf"^[│ ]+{sub}\s", of_group, re.MULTILINE), f"{command} {sub}"


def helped(*command: str) -> str:
    words = [sys.executable, "-m", "tapedeck", *command, "--help"]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
