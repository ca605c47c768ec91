"""An id with an escaped slash in it is a bad id, and never another path."""

import pytest

SERVICE = {"Authorization": "Bearer all-token"}


@pytest.mark.parametrize("slash", ["%2F", "%2f"])
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("GET", "{slash}chunks"),
        ("GET", "{slash}audio"),
        ("DELETE", "{slash}audio"),
        ("DELETE", "%2e%2e{slash}tapes"),
        ("POST", "{slash}x:flush"),
    ],
)
async def test_an_escaped_slash_parts_no_path(api, tape, conversation, pcm_tone, method, rest, slash):
    await tape.record(pcm_tone(1))
    quoted = rest.format(slash=slash)
    url = f"/v1/users/{conversation.uid}/conversations/{conversation.cid}{quoted}"
    answer = await api.http.request(method, url, headers=SERVICE)
    if quoted:
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_id")
    assert (await api.get(conversation)).json()["recorded_seconds"] == 1.0


async def test_nor_does_one_in_a_uid(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(1))
    url = f"/v1/users/{conversation.uid}%2Fconversations%2F{conversation.cid}/audio"
    for method in ("GET", "DELETE"):
        answer = await api.http.request(method, url, headers=SERVICE)
        assert answer.status_code == {"GET": 405, "DELETE": 400}[method]
    assert (await api.get(conversation)).json()["recorded_seconds"] == 1.0


async def test_what_else_is_escaped_is_read_as_ever(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(1))
    escaped = f"%{ord(conversation.cid[0]):02x}{conversation.cid[1:]}"
    answer = await api.http.get(f"/v1/users/{conversation.uid}/conversations/{escaped}", headers=SERVICE)
    assert answer.status_code == 200
    assert answer.json()["conversation_id"] == conversation.cid
