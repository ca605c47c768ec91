from dataclasses import replace
from pathlib import Path

import pytest

from audiostore.batch import BatchFile, read_batch
from audiostore.errors import BatchFormatError, TamperedError, UnknownKeyError
from audiostore.key_ring import KeyRing
from audiostore.names import BatchName
from audiostore.sealed_batch import check_start, seal_batch, sealed_facts
from audiostore.sealing import HEAD_BYTES, open_sealed, seal

FILE = (Path(__file__).parent / "batch" / "samples" / "two-runs.batch.bin").read_bytes()
BATCH = read_batch(FILE)
RING = KeyRing({"k1": bytes(32)})
NAME = BatchName("u", BATCH.conversation_id, BATCH.spans[0].start_ms, BATCH.spans[-1].end_ms, sealed=True)


def test_the_facts_of_a_sealed_batch():
    facts = sealed_facts(seal(FILE, RING, "u")[:HEAD_BYTES], RING, NAME)
    assert facts.conversation_id == BATCH.conversation_id
    assert facts.spans == tuple(replace(span, packets=()) for span in BATCH.spans)


def test_a_batch_is_sealed_with_what_it_says_of_itself():
    sealed, another = (seal_batch(BatchFile(FILE, {"a": "b"}), RING, "u") for _ in range(2))
    assert sealed.data != another.data
    assert open_sealed(sealed.data, RING, "u") == FILE
    assert sealed.metadata == {"a": "b", "tapedeck-key": "k1"}


def test_a_merged_copy_is_still_read():
    assert sealed_facts(
        seal(FILE, RING, "u"), RING, replace(NAME, conversation_id="another", end_ms=NAME.end_ms + 3)
    )


def test_what_was_moved_to_another_time_or_user_is_refused():
    sealed = seal(FILE, RING, "u")
    with pytest.raises(TamperedError, match="it was moved"):
        sealed_facts(sealed, RING, replace(NAME, start_ms=NAME.start_ms - 1))
    with pytest.raises(TamperedError):
        sealed_facts(sealed, RING, replace(NAME, uid="v"))
    with pytest.raises(UnknownKeyError):
        sealed_facts(sealed, KeyRing.empty, NAME)
    facts = sealed_facts(sealed, RING, NAME)
    check_start(facts.start_ms, NAME)
    with pytest.raises(TamperedError, match="it was moved"):
        check_start(facts.start_ms, replace(NAME, start_ms=0))


@pytest.mark.parametrize(
    "plain",
    [b"", b"RIFF" + bytes(100), FILE[:60], FILE.replace(b"TAPEDECK_VERSION=1", b"TAPEDECK_VERSION=2")],
)
def test_what_is_sealed_and_no_batch(plain):
    with pytest.raises(BatchFormatError):
        sealed_facts(seal(plain, RING, "u"), RING, NAME)
