"""An answer whose bytes follow from an entry that it does not play has another tag once that is deleted."""

import pytest


@pytest.mark.parametrize("kind", ["ogg", "wav", "pcm"])
@pytest.mark.parametrize("deleted", [4, 5])
async def test_what_is_decoded_before_a_window_of_the_tail_is_in_its_tag(
    api, tape, conversation, pcm_tone, cutter, kind, deleted
):
    """Nobody may join the beginning of one file and, by `If-Range`, the rest of another."""
    await tape.record(pcm_tone(8))
    rows = (await api.get(conversation, "/chunks")).json()["chunks"]
    asked = {"format": kind, "start": f"{float(rows[6]['timestamp']) + 0.005:.3f}"}
    first = await api.get(conversation, "/audio", **asked)
    assert (await cutter.chunks(api, rows[deleted]["timestamp"])).status_code == 200
    half = len(first.content) // 2
    if_range = {"Range": f"bytes={half}-", "If-Range": first.headers["etag"]}
    again = await api.get(conversation, "/audio", headers=if_range, **asked)
    # 320 ms come out of the packets before it: of those of one second, only the nearest.
    changed = deleted == 5
    assert (again.status_code, again.headers["etag"] != first.headers["etag"]) == (
        200 if changed else 206,
        changed,
    )
    if not changed:
        assert first.content[:half] + again.content == first.content
