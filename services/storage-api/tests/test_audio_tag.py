"""`GET`, `HEAD …/{cid}/audio`: strong `ETag` while nothing changes, `If-None-Match`, `If-Range`."""

import pytest

from audiocodec import Libopus
from storage_api import audio_tag

FORMS = ("ogg", "wav", "pcm")


async def tag_of(api, conversation, **query) -> str:
    answer = await api.get(conversation, "/audio", **query)
    assert answer.status_code == 200, answer.text
    return answer.headers["etag"]


@pytest.mark.parametrize("kind", FORMS)
async def test_the_same_tag_for_the_same_bytes_also_from_another_process(
    api, serve, one_bus, store, tmp_path, tape, conversation, pcm_tone, kind
):
    await tape.record(pcm_tone(6))
    await tape.drain(0, 3)
    first = await api.get(conversation, "/audio", format=kind)
    (tmp_path / "other").mkdir()
    async with serve(one_bus, store, tmp_path / "other") as other:
        second = await other.get(conversation, "/audio", format=kind)
    assert first.headers["etag"] == second.headers["etag"]
    assert first.content == second.content
    assert first.headers["etag"][0] == first.headers["etag"][-1] == '"'


async def test_another_tag_for_other_bytes(api, tape, conversation, encode, pcm_tone):
    await tape.open()
    chunks = encode(pcm_tone(6))
    await tape.append(chunks[:4])
    tags = {await tag_of(api, conversation, format=kind) for kind in FORMS}
    start = 1_700_000_000
    for query in (
        {"sample_rate": 8000},
        {"channels": 2},
        {"start": start + 1},
        {"end": start + 2},
        {"timestamps": f"{start}.000"},
    ):
        tags.add(await tag_of(api, conversation, format="wav", **query))
    tags.add(await tag_of(api, conversation, fill_gaps="false"))
    await tape.append(chunks[4:5])
    tags.add(await tag_of(api, conversation))
    await tape.drain(0, 3)
    tags.add(await tag_of(api, conversation))
    tags.add(await tag_of(api, conversation, start=start + 4))
    await tape.drain(3, 5)
    tags.add(await tag_of(api, conversation))
    assert len(tags) == 3 + 5 + 1 + 4


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_has_it_is_told_so(api, tape, conversation, encode, pcm_tone, kind, method):
    await tape.open()
    chunks = encode(pcm_tone(3))
    await tape.append(chunks[:2])
    tag = await tag_of(api, conversation, format=kind)
    path = api.path(conversation, f"/audio?format={kind}")
    headers = {"Authorization": "Bearer all-token", "Range": "bytes=0-9"}
    for known in (tag, f'"other", W/{tag}', "*"):
        answer = await api.http.request(method, path, headers=headers | {"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["vary"] == "Accept, Authorization"
        assert "content-range" not in answer.headers
        assert api.services.downloads.running == 0
    await tape.append(chunks[2:])
    answer = await api.http.request(method, path, headers=headers | {"If-Match": tag})
    assert answer.status_code == 412, "whoever goes on with an old answer must not get another's bytes"
    assert method == "HEAD" or answer.json()["code"] == "precondition_failed"
    current = await tag_of(api, conversation, format=kind)
    answer = await api.http.request(method, path, headers=headers | {"If-Match": f'"other", {current}'})
    assert answer.status_code in (200, 206)
    answer = await api.http.request(method, path, headers=headers | {"If-None-Match": tag})
    assert answer.status_code in (200, 206)
    assert answer.headers["etag"] != tag


async def test_a_range_is_given_only_of_what_the_client_has(api, tape, conversation, encode, pcm_tone):
    await tape.open()
    chunks = encode(pcm_tone(3))
    await tape.append(chunks[:2])
    whole = await api.get(conversation, "/audio", format="wav")
    tag = whole.headers["etag"]
    asked = {"Range": "bytes=100-199", "If-Range": tag}
    part = await api.get(conversation, "/audio", format="wav", headers=asked)
    assert (part.status_code, part.headers["etag"]) == (206, tag)
    assert part.content == whole.content[100:200]
    for other in ('"other"', f"W/{tag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        answer = await api.get(conversation, "/audio", format="wav", headers=asked | {"If-Range": other})
        assert (answer.status_code, answer.content) == (200, whole.content)
    await tape.append(chunks[2:])
    answer = await api.get(conversation, "/audio", format="wav", headers=asked)
    assert (answer.status_code, len(answer.content)) == (200, 44 + 3 * 32_000)


async def test_a_range_of_another_answer_is_no_416(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(1))
    asked = {"Range": "bytes=9999999-", "If-Range": '"other"'}
    answer = await api.get(conversation, "/audio", format="wav", headers=asked)
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", FORMS)
async def test_another_decoder_or_machine_has_other_tags_where_something_is_decoded(
    api, tape, conversation, pcm_tone, monkeypatch, kind
):
    await tape.record(pcm_tone(2))
    here = await tag_of(api, conversation, format=kind)
    there = set()
    for change in (
        lambda patch: patch.setattr(
            audio_tag.libopus, "load", lambda: Libopus("libopus.so.9", (9, 9), "system")
        ),
        lambda patch: patch.setattr(audio_tag.platform, "machine", lambda: "riscv64"),
        lambda patch: patch.setattr(audio_tag, "_processor", lambda: ["sse2", "avx99"]),
    ):
        with monkeypatch.context() as patch:
            change(patch)
            audio_tag.codec.cache_clear()
            there.add(await tag_of(api, conversation, format=kind))
    audio_tag.codec.cache_clear()
    assert there == {here} if kind == "ogg" else len(there | {here}) == 4
    assert await tag_of(api, conversation, format=kind) == here
