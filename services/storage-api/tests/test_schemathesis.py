"""Every described route against requests that schemathesis makes from `/openapi.json`: right ones, and wrong ones of every kind.

Deterministic, over real HTTP, in a process of its own. It checks each answer against the description too: status, code, media type, shape,
`Allow`, and that nothing is said without a token.
"""

import asyncio
import sys
from pathlib import Path

import pytest

from audiobus import Conversation

EXAMPLES = 20
"""Made up for each operation, beside those that cover its parameters one by one."""

# What no description can say: page tokens are opaque, an end may lie before its start, pcm alone has a rate to choose.
CHECKS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "400", "404", "409", "416", "422"]
"""

# What reads has a recording, stored and waiting; what writes has another user's, and what deletes a third's, so that they stay.
RECORDED = f"""
{CHECKS}
[parameters]
"path.uid" = "user-1"
"path.cid" = "conv-1"

[[operations]]
include-method = ["POST", "PUT"]
parameters = {{ "path.uid" = "user-2" }}

[[operations]]
include-method = "DELETE"
parameters = {{ "path.uid" = "user-3" }}
"""
# Some operations are only for services.
OWN = f"""
{CHECKS.replace('"404"', '"403", "404"')}
[parameters]
"path.uid" = "user-1"
"""


async def made_up(url: str, token: str, config: Path, text: str, *options: str) -> None:
    config.write_text(text)  # noqa: ASYNC240 - a few lines
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(config),
        "run", f"{url}/openapi.json", "--generation-deterministic", "--max-examples", str(EXAMPLES),
        "--header", f"Authorization: Bearer {token}", "--continue-on-failure", *options,
        cwd=config.parent, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output.decode()


@pytest.mark.timeout(300)
async def test_on_recordings_a_service_gets_what_is_described(api, tape, tape_for, pcm_tone, tmp_path):
    await tape.record(pcm_tone(5))
    await tape.drain(0, 3)
    for uid in ("user-2", "user-3"):
        other = tape_for(Conversation(uid, "conv-1"))
        await other.record(pcm_tone(1))
        await other.drain(0, len(other.chunks))
    await made_up(str(api.http.base_url), "all-token", tmp_path / "schemathesis.toml", RECORDED)


@pytest.mark.timeout(300)
async def test_on_ids_of_every_kind_a_user_gets_what_is_described(api, tape, pcm_tone, tmp_path):
    await tape.record(pcm_tone(1))
    await made_up(str(api.http.base_url), api.token("user-1"), tmp_path / "schemathesis.toml", OWN)
