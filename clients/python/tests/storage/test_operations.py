"""Waiting for an operation, against a small real server."""

import pytest

from tapedeck import Retries, StorageClient
from tapedeck.errors import NotFoundError, OperationFailedError, OperationPendingError, UnavailableError

OPERATION = {"id": "o-1", "kind": "merge", "done": False, "progress": None, "error": None, "result": None}


@pytest.fixture
def client(storage_stand_in):
    retries = Retries(times=2, first_pause_s=0.001, longest_pause_s=0.001, refused_for_s=0)
    with StorageClient(storage_stand_in.url, token="t", retries=retries, timeout=5) as client:
        yield client


def test_an_operation_is_waited_for(storage_stand_in, client, monkeypatch):
    monkeypatch.setattr("tapedeck.storage.waiting.FIRST_PAUSE_S", 0.001)
    done = OPERATION | {"done": True, "result": {"deleted_objects": 3}, "progress": {"share": 1.0}}
    away = [(503, {"code": "live_unavailable"})]
    storage_stand_in.answers = {
        "/v1/operations/o-1": [(202, OPERATION), *away, (200, OPERATION), (200, done)]
    }
    seen = []
    ended = client.wait("o-1", deadline_s=60, progress=seen.append)
    assert ended.result == {"deleted_objects": 3}
    assert [one.done for one in seen] == [False, False, True]
    storage_stand_in.answers = {"/v1/operations/o-1": away * 2}
    with pytest.raises(UnavailableError):
        client.wait(ended)  # without a deadline nobody waits through an outage


def test_an_operation_that_failed_or_is_not_done_is_an_error(storage_stand_in, client):
    failed = OPERATION | {"done": True, "error": {"code": "merging", "detail": "two at once", "new": 1}}
    storage_stand_in.answers = {"/v1/operations/f": (200, failed), "/v1/operations/o-1": (200, OPERATION)}
    with pytest.raises(OperationFailedError, match="two at once") as caught:
        client.wait("f")
    assert (caught.value.code, caught.value.operation.kind) == ("merging", "merge")
    with pytest.raises(OperationPendingError, match="was not done within") as pending:
        client.wait("o-1", deadline_s=0.01)
    assert pending.value.operation.id == "o-1"
    with pytest.raises(NotFoundError):
        client.wait("gone", deadline_s=60)
