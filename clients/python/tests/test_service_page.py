"""docs/use-from-your-service.md: every block of it is run, in its order, against a running system. And the page of methods is as the code is."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tapedeck import ListenClient, ListenOptions, StorageClient, sample
from tapedeck.audio_file import open_source
from tapedeck_testing.client_reference import PAGE, client_page

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/use-from-your-service.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
PCM = b"".join(open_source(str(sample.PATH), None).pieces())[: 10 * 32_000]
SHELL = """set -euo pipefail
. ./block.sh
python3 -c 'import json, os; json.dump(dict(os.environ), open("environ.json", "w"))'
"""


async def record(stack, conversation_id, ago_s):
    options = ListenOptions(conversation_id)
    async with ListenClient(stack.facts["listen"], stack.user_token("anna"), options=options) as client:
        start_ms = time.time_ns() // 1_000_000 - ago_s * 1000
        for gap_ms in (0, 130_000):
            await client.mark(start_ms + gap_ms)
            await client.send(PCM)


def run(words, environ, folder, block):
    done = subprocess.run(
        words, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    assert environ.get("TAPEDECK_TOKEN", "nothing") not in done.stdout + done.stderr
    return done.stdout


def test_every_block_of_the_page(stack, tmp_path):
    assert {kind for kind, _ in BLOCKS} == {"sh", "python"}
    assert len(BLOCKS) >= 20
    for ago_s, name in enumerate(("monday", "tuesday", "wednesday", "friday"), start=1):
        asyncio.run(record(stack, name, ago_s * 1000))
    environ = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TAPEDECK_URL": stack.facts["storage_api"],
        "TAPEDECK_SERVICE_TOKENS_FILE": str(stack.directory / "data/secrets/service-tokens.json"),
    }
    shown = []
    for kind, block in BLOCKS:
        if kind == "sh":
            (tmp_path / "block.sh").write_text(block)
            shown.append(run(["bash", "-c", SHELL], environ, tmp_path, block))
            environ = json.loads((tmp_path / "environ.json").read_text())
        else:
            (tmp_path / "block.py").write_text(block)
            shown.append(run([sys.executable, "block.py"], environ, tmp_path, block))
    assert (tmp_path / "monday.ogg").read_bytes()[:4] == b"OggS"
    assert (tmp_path / "monday.wav").read_bytes()[:4] == b"RIFF"
    assert json.loads((tmp_path / "monday.json").read_text())["version"] == 2
    everything = "".join(shown)
    for said in ("monday", "tuesday", '"gaps":[{', "404", "not_found", "goes on: ", "enhanced", " 40.0\n"):
        assert said in everything, said
    with StorageClient(stack.facts["storage_api"], environ["TAPEDECK_TOKEN"]) as client:
        assert list(client.conversations("anna")) == []


def test_python_blocks_are_typed_for_their_users(tmp_path):
    for number, (kind, block) in enumerate(BLOCKS):
        if kind == "python":
            (tmp_path / f"block_{number}.py").write_text(block)
    words = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--cache-dir",
        str(tmp_path / "cache"),
    ]
    words += ["--follow-imports=silent", "."]
    environ = {**os.environ, "MYPYPATH": str(ROOT / "clients/python/src")}
    assert run(words, environ, tmp_path, "mypy") == ""


def test_the_page_of_methods_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == client_page()
