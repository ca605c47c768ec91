"""Every described route against requests that schemathesis makes from `/openapi.json`: right ones, and wrong ones of every kind.

Deterministic, over real HTTP, in a process of its own. It checks each answer against the description too: status, code, media type, shape,
`Allow`, and that nothing is said without a token. With fixed examples it meets what is there: each route is answered with success, too.
"""

import asyncio
import json
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from audiobus import Conversation

EXAMPLES = 20
"""Made up for each operation, beside those that cover its parameters one by one."""

# What no description can say: page tokens and tags are opaque, an end may lie before its start, pcm alone has a rate to choose.
CHECKS = """
[checks.positive_data_acceptance]
expected-statuses = [{statuses}]
"""
STATUSES = '"2xx", "304", "400", "404", "409", "412", "416", "422"'

PLACES = {
    "DELETE /v1/users/{uid}/conversations/{cid}": ("user-3", "conv-1"),
    "DELETE /v1/users/{uid}/conversations/{cid}/chunks": ("user-3", "conv-2"),
    "DELETE /v1/users/{uid}/conversations/{cid}/audio": ("user-3", "conv-3"),
    "DELETE /v1/users/{uid}/audio": ("user-4", ""),
}
"""What is deleted has its own place, so that the others find something; so has what is written."""


def config(house, rows) -> str:
    """Each operation meets what is there."""
    parts = [CHECKS.format(statuses=STATUSES)]
    for name, row in rows.items():
        uid, cid = PLACES.get(name, ("user-1" if row.method in ("GET", "HEAD") else "user-2", "conv-1"))
        ids = {"uid": uid, "cid": cid, "id": house.letter if "dead" in row.path else "op-1"}
        given = "\n".join(f'"path.{one}" = "{ids[one]}"' for one in row.path_ids)
        parts.append(f'[[operations]]\ninclude-name = "{name}"\n[operations.parameters]\n{given}\n')
    return "\n".join(parts)


async def with_examples(api, requests) -> str:
    """The description, and a request that is right for each operation."""
    described = (await api.http.get("/openapi.json")).json()
    for name, asked in requests.items():
        method, path = name.split()
        operation = described["paths"][path][method.lower()]
        for parameter in operation.get("parameters", ()):
            given = {**asked.query, "Range": "bytes=0-9"}.get(parameter["name"])
            if given is not None:
                number = parameter["schema"].get("type") == "integer"
                parameter["example"] = int(given) if number else given
        if asked.body is not None:
            operation["requestBody"]["content"]["application/json"]["example"] = asked.body
    return json.dumps(described)


async def made_up(api, token: str, folder: Path, config_text: str, description: str) -> None:
    paths = folder / "schemathesis.toml", folder / "openapi.json"
    for path, text in zip(paths, (config_text, description), strict=True):
        path.write_text(text)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(paths[0]),
        "run", str(paths[1]), "--url", str(api.http.base_url), "--generation-deterministic",
        "--max-examples", str(EXAMPLES), "--header", f"Authorization: Bearer {token}", "--continue-on-failure",
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output.decode()


def answered(api, rows) -> dict[str, set[int]]:
    """By route the statuses that it was answered with."""
    found = defaultdict(set)
    names = {(row.method, row.name): name for name, row in rows.items()}
    for (method, route, status), counter in api.services.metrics.requests._members.items():
        if counter._value.get() and (method, route) in names and status.isdecimal():
            found[names[method, route]].add(int(status))
    return found


@pytest.mark.timeout(300)
async def test_on_recordings_a_service_gets_what_is_described(
    house, rows, requests, tape_for, pcm_tone, tmp_path
):
    for uid in ("user-2", "user-3", "user-4"):
        for cid in ("conv-1", "conv-2", "conv-3"):
            other = tape_for(Conversation(uid, cid))
            await other.record(pcm_tone(1))
            await other.drain(0, len(other.chunks))
    description = await with_examples(house.api, requests)
    await made_up(house.api, "all-token", tmp_path, config(house, rows), description)
    found = answered(house.api, rows)
    # What is there is met, and what is wrong is refused.
    assert [name for name, asked in requests.items() if asked.status not in found[name]] == []
    takes = [name for name, row in rows.items() if row.parameters or row.body]
    assert [name for name in takes if 400 not in found[name]] == []
    assert 206 in found["GET /v1/users/{uid}/conversations/{cid}/audio"]


@pytest.mark.timeout(300)
async def test_on_ids_of_every_kind_a_user_gets_what_is_described(house, rows, tmp_path):
    description = (await house.api.http.get("/openapi.json")).text
    # Some operations are only for services.
    text = CHECKS.format(statuses=f'{STATUSES}, "403"') + '[parameters]\n"path.uid" = "user-1"\n'
    await made_up(house.api, house.api.token("user-1"), tmp_path, text, description)
    found = answered(house.api, rows)
    named = [name for name, row in rows.items() if {"cid", "id"} & set(row.path_ids)]
    assert [name for name in named if not found[name] & {400, 403, 404}] == []
