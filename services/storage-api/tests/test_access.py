"""Who may do what, over real HTTP."""

import asyncio
import hashlib
import json
import os

import pytest

from audiobus import Conversation


@pytest.fixture
async def recorded(tape, pcm_tone):
    await tape.record(pcm_tone(1))


READS = ("", "/chunks", "/audio")


async def test_a_user_reads_their_own_and_nobody_elses(api, recorded, conversation):
    own, foreign = api.token(conversation.uid), api.token("user-2")
    for rest in READS:
        assert (await api.get(conversation, rest, token=own)).status_code == 200
        answer = await api.get(conversation, rest, token=foreign)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    for uid, status in ((conversation.uid, 200), ("user-2", 404)):
        answer = await api.http.get(
            f"/v1/users/{conversation.uid}/conversations",
            headers={"Authorization": f"Bearer {api.token(uid)}"},
        )
        assert answer.status_code == status


async def test_a_foreign_users_recording_looks_like_none(api, recorded, conversation):
    foreign = api.token("user-2")
    there = (await api.get(conversation, "/audio", token=foreign)).json()
    nowhere = (await api.get(Conversation("nobody", "c"), "/audio", token=foreign)).json()
    assert {**there, "request_id": ""} == {**nowhere, "request_id": ""}


async def test_a_service_does_what_its_scopes_say(api, recorded, conversation):
    for token, read, write in (("read-token", 200, 403), ("write-token", 403, 504), ("none-token", 403, 403)):
        for rest in READS:
            assert (await api.get(conversation, rest, token=token)).status_code == read
        if write == 403:
            answer = await api.http.post(
                api.path(conversation, ":flush"), headers={"Authorization": f"Bearer {token}"}
            )
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "unauthorized"),
        ("", "unauthorized"),
        ("Bearer", "unauthorized"),
        ("Bearer nonsense", "unauthorized"),
        ("Bearer a.b.c", "unauthorized"),
        ("Basic YWxsLXRva2Vu", "unauthorized"),
        ("Bearer " + "x" * 10_000, "unauthorized"),
        ("expired", "token_expired"),
        ("forged", "unauthorized"),
        ("unsigned", "unauthorized"),
    ],
)
async def test_without_a_good_token_nothing_is_said(api, recorded, conversation, header, code):
    made = {
        "expired": f"Bearer {api.token(conversation.uid, expires_in_s=-60)}",
        "forged": f"Bearer {api.token(conversation.uid, secret='another secret of more than 32 bytes')}",
        "unsigned": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyLTEifQ.",
    }
    headers = {} if header is None else {"Authorization": made.get(header, header)}
    for rest in READS:
        answer = await api.http.get(api.path(conversation, rest), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_tokens_are_rotated_without_a_restart(api, recorded, conversation, tmp_path):
    assert (await api.get(conversation, token="next-token")).status_code == 401
    entry = {"name": "all", "sha256": hashlib.sha256(b"next-token").hexdigest(), "scopes": ["audio:read"]}
    (tmp_path / "new").write_text(json.dumps([entry]))
    os.replace(tmp_path / "new", tmp_path / "tokens.json")  # noqa: PTH105 - the very call that rotation is
    assert (await api.get(conversation, token="next-token")).status_code == 200
    assert (await api.get(conversation, token="all-token")).status_code == 401


BAD_IDS = [
    "..",
    ".",
    "%2e%2e",
    "..%2f..",
    "a%2fb",
    "%00",
    "a%00b",
    "-x",
    ".hidden",
    "a%20b",
    "%C3%A4",
    "x" * 129,
    "a%0a",
    "*",
]


@pytest.mark.parametrize("bad", BAD_IDS)
async def test_bad_ids_lead_nowhere(api, recorded, bad):
    for path in (
        f"/v1/users/{bad}/conversations",
        f"/v1/users/{bad}/conversations/c/audio",
        f"/v1/users/user-1/conversations/{bad}",
        f"/v1/users/user-1/conversations/{bad}/chunks",
        f"/v1/users/user-1/conversations/{bad}/audio",
    ):
        status, headers, body = await raw_get(api, path)
        assert status in (400, 404)
        assert json.loads(body)["code"] in ("bad_id", "not_found")
        assert "content-type: application/problem+json" in headers


async def raw_get(api, path: str) -> tuple[int, str, str]:
    """The very path on the wire: clients tidy dots away."""
    reader, writer = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer all-token\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    headers, _, body = answer.partition("\r\n\r\n")
    return int(headers.split(" ")[1]), headers, body


async def test_the_longest_id_is_an_id(api, tape_for, pcm_tone):
    conversation = Conversation("u" * 128, "A0._@-" + "c" * 122)
    await tape_for(conversation).record(pcm_tone(1))
    assert (await api.get(conversation, token=api.token(conversation.uid))).status_code == 200
