"""docs/commands.md names every command, and each option of those that have a table there."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from tapedeck.__main__ import app

PAGE = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
EVERYWHERE = {"--json", "--help"}


def test_every_command_is_named():
    first = PAGE.partition("\n## ")[0]
    assert set(get_command(app).commands) <= set(re.findall(r"`([a-z]+)`", first))


@pytest.mark.parametrize("name", ["up", "send"])
def test_every_option_is_named_and_no_other(name):
    (section,) = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    command = get_command(app).commands[name]
    options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    assert (
        set(re.findall(r"`(--[a-z-]+)`", section))
        == {one for one in options if one.startswith("--")} - EVERYWHERE
    )
