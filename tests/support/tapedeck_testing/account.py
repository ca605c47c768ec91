"""The account: what came back against what was sent, and what lies in the store."""

import itertools
from pathlib import Path

import httpx

from audiocodec import read_ogg_opus
from audiostore.batch import read_batch


async def flush(http: httpx.AsyncClient, uid: str, cid: str) -> None:
    """Has everything that waits stored."""
    answer = await http.post(f"/v1/users/{uid}/conversations/{cid}:flush")
    assert answer.status_code == 200, answer.text


async def packets_back(http: httpx.AsyncClient, uid: str, cid: str, *, missing: int = 0) -> list[bytes]:
    """The Opus packets of the conversation, gaps left out. `missing`: of so much the answer says that it cannot be read."""
    url = f"/v1/users/{uid}/conversations/{cid}/audio"
    answer = await http.get(url, params={"format": "ogg", "fill_gaps": "false"})
    assert answer.status_code == 200, answer.text
    assert answer.headers.get("tapedeck-missing", "0") == str(missing)
    # While Redis is away the stored part is served, and said to be no more than that.
    assert "tapedeck-live" not in answer.headers
    return read_ogg_opus(answer.content).packets


async def pcm_back(http: httpx.AsyncClient, uid: str, cid: str) -> bytes:
    """The conversation's samples, gaps left out."""
    url = f"/v1/users/{uid}/conversations/{cid}/audio"
    answer = await http.get(url, params={"format": "pcm", "fill_gaps": "false"})
    assert answer.status_code == 200, answer.text
    assert answer.headers.get("tapedeck-missing", "0") == "0"
    # While Redis is away the stored part is served, and said to be no more than that.
    assert "tapedeck-live" not in answer.headers
    return answer.content


def objects(store: Path, uid: str, cid: str) -> list[Path]:
    """The conversation's objects as they lie in a `file://` store, in name order."""
    return sorted((store / "chunks" / uid / cid).glob("*"))


def assert_stored_once(store: Path, uid: str, cid: str) -> None:
    """No byte of any session lies in two objects, or is missing between two."""
    ranges: dict[int, list[tuple[int, int]]] = {}
    for path in objects(store, uid, cid):
        for span in read_batch(path.read_bytes()).spans:
            ranges.setdefault(span.epoch, []).append((span.first_offset, span.end_offset))
    for epoch, stored in ranges.items():
        stored.sort()
        assert stored[0][0] == 0, (epoch, stored)
        for before, after in itertools.pairwise(stored):
            assert before[1] == after[0], (epoch, before, after)
