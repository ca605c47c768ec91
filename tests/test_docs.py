"""Pages that are generated are as the code is, and what the README says can be run."""

import re
import subprocess
from pathlib import Path

from tapedeck_testing.settings_page import PAGE, settings_page

ROOT = Path(__file__).parents[1]


def test_the_settings_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == settings_page()


def test_every_target_of_the_makefile_explains_itself():
    made = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    made = re.sub(r"\x1b\[\d*m", "", made)
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    for target in targets[1].split():
        assert re.search(rf"\b{target}\b", made), target


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readmes_commands(stack, tmp_path):
    """What the README tells to run after `make run`, run as it stands there."""
    block = re.search(r"another terminal:\n\n```sh\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block
    sample = ROOT / "clients/python/src/tapedeck/sample/speech.flac"
    (tmp_path / "recording.flac").write_bytes(sample.read_bytes())
    environ = {
        "TAPEDECK_READY_FILE": str(stack.ready_file),
        "PATH": f"{ROOT / '.venv/bin'}:/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    listed = ""
    commands = [line.split("#")[0].strip() for line in block[1].splitlines() if line.strip()]
    assert len(commands) >= 4
    for command in commands:
        conversation = re.search(r"^(\S+)\s+\d{4}-", listed, re.MULTILINE)
        words = (
            command.replace(".venv/bin/", "")
            .replace("CONVERSATION", conversation[1] if conversation else "?")
            .split()
        )
        if words[1] == "send":
            words.append("--fast")
        done = subprocess.run(
            words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=250, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        if words[1] == "ls":
            listed = done.stdout
    assert (tmp_path / "it.wav").read_bytes()[:4] == b"RIFF"
