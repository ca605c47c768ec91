"""How long the bucket is asked again, before an answer has begun and after."""

import asyncio
from itertools import count

import pytest

from audiostore import attempts, gcs_client, obstore_client
from audiostore.errors import ChecksumError, StoreConfigurationError, TransientStoreError
from storage_api import patience
from storage_api.patience import PATIENCE, begin_answer, pause_s

AWAY = TransientStoreError("away")


def tries(error, each_s, *, begun=False) -> int:
    """How often a read is tried that fails so after `each_s` seconds each time."""

    async def counted() -> int:
        if begun:
            begin_answer()
        for_s = 0.0
        for attempt in count(1):
            for_s += each_s
            pause = pause_s(error, attempt, for_s)
            if pause is None:
                return attempt
            for_s += pause
        raise AssertionError

    return asyncio.run(counted())


def test_who_asks_hears_of_a_bucket_that_refuses_before_they_give_up():
    """The last try begins after a last pause, and may take as long as a connection that nobody takes."""
    for connect_s in (gcs_client.CONNECT_TIMEOUT_S, obstore_client.CONNECT_TIMEOUT_S):
        assert PATIENCE.tries_for_s(slow=False) + PATIENCE.longest_pause_s + connect_s <= 10
        assert PATIENCE.tries_for_s(slow=False) < connect_s


def test_a_bucket_that_is_merely_slow_has_its_time():
    assert PATIENCE.tries_for_s(slow=True) == attempts.PATIENCE.begin_for_s
    assert PATIENCE.deadline_s == attempts.PATIENCE.deadline_s


def test_a_store_that_has_tried_by_itself_is_not_asked_again():
    assert tries(AWAY, each_s=0.0) == patience.READ_TRIES
    assert tries(AWAY, each_s=4.0) == 1


def test_an_answer_that_has_begun_waits_for_the_bucket():
    assert tries(AWAY, each_s=4.0, begun=True) == 6
    assert 15 < tries(AWAY, each_s=0.0, begun=True) < 25


def test_spoilt_bytes_are_read_again_and_not_for_long():
    for begun in (False, True):
        assert tries(ChecksumError("spoilt"), each_s=4.0, begun=begun) == patience.READ_TRIES


def test_what_cannot_help_is_not_tried_again():
    for begun in (False, True):
        assert tries(StoreConfigurationError("no bucket"), each_s=0.0, begun=begun) == 1


@pytest.mark.parametrize("begun", [False, True])
async def test_what_begins_within_an_answer_knows_of_it(begun):
    async def of_another_task() -> float | None:
        return pause_s(AWAY, patience.READ_TRIES, 2.0)

    if begun:
        begin_answer()
    assert (await asyncio.create_task(of_another_task()) is not None) is begun
