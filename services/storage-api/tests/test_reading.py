"""From an object's bytes to what it holds: ours, sealed or not, and what is wrong with them."""

import pytest

from audiocodec.span import join
from audiostore import sealing
from audiostore.batch import Batch, batch_end_ms, batch_facts, batch_file, batch_start_ms
from audiostore.key_ring import KeyRing, KeySource
from audiostore.legacy import parse_audio_name
from audiostore.names import BatchName
from storage_api import reading
from storage_api.errors import UnreadableError
from storage_api.keys import Keys
from storage_api.stored_object import OlderFacts, Verdict

RING = KeyRing({"k1": bytes(range(32))})
OTHER_RING = KeyRing({"k2": bytes(range(1, 33))})


class Fixed(KeySource):
    """A source whose ring is given."""

    def __init__(self, ring: KeyRing) -> None:
        super().__init__()
        self._ring = ring


KEYS, OTHER_KEYS, NO_KEYS = Keys(Fixed(RING)), Keys(Fixed(OTHER_RING)), Keys()


@pytest.fixture
def batch(encode, pcm_tone) -> Batch:
    (span,) = join(chunk.span("c", 7, end) for chunk, end in encode(pcm_tone(2)))
    return Batch("c", "pcm16", 16_000, 1, (), (span,))


def name_of(batch: Batch, *, sealed: bool, later_ms: int = 0):
    start, end = batch_start_ms(batch) + later_ms, batch_end_ms(batch) + later_ms
    return parse_audio_name(BatchName("u", "c", start, end, sealed=sealed).path)


def refused(call, *args) -> tuple[str, str]:
    with pytest.raises(UnreadableError) as caught:
        call(*args)
    return caught.value.reason, caught.value.detail


def test_metadata_says_what_a_batch_holds(batch):
    name = name_of(batch, sealed=False)
    facts = reading.facts_in_metadata(name, batch_file(batch).metadata)
    assert facts.samples == 2 * 48_000
    for metadata in (None, {}, {"colour": "blue"}, {"tapedeck-version": "2"}):
        assert reading.facts_in_metadata(name, metadata) is None


@pytest.mark.parametrize("sealed", [False, True])
def test_a_batch_that_was_moved_to_another_time_is_refused(batch, sealed):
    moved = name_of(batch, sealed=sealed, later_ms=5_000)
    file = batch_file(batch)
    data = sealing.seal(file.data, RING, "u") if sealed else file.data
    for call, *args in (
        (reading.facts_in_metadata, moved, file.metadata),
        (reading.judge_head, moved, data, None, KEYS),
        (reading.open_batch, moved, data, RING),
    ):
        reason, detail = refused(call, *args)
        assert reason == "damaged"
        assert detail.endswith("it was moved")


@pytest.mark.parametrize("sealed", [False, True])
def test_ours_is_opened(batch, sealed):
    name = name_of(batch, sealed=sealed)
    file = batch_file(batch)
    told = batch_facts(file.metadata)
    data = sealing.seal(file.data, RING, "u") if sealed else file.data
    assert reading.open_batch(name, data, RING) == batch
    for known in (None, told):
        head = data[: reading.head_bytes(name, known)]
        judged = reading.judge_head(name, head, known, KEYS)
        assert judged.facts.spans == told.spans


def test_of_a_sealed_batch_with_metadata_only_the_key_is_looked_at(batch):
    name = name_of(batch, sealed=True)
    told = batch_facts(batch_file(batch).metadata)
    assert reading.head_bytes(name, told) < 100
    assert reading.head_bytes(name, None) > 65_536


def test_a_key_that_is_not_there_is_no_damage(batch):
    name = name_of(batch, sealed=True)
    file = batch_file(batch)
    data = sealing.seal(file.data, RING, "u")
    told = batch_facts(file.metadata)
    for keys in (OTHER_KEYS, NO_KEYS):
        assert refused(reading.judge_head, name, data, None, keys)[0] == "no_key"
        assert refused(reading.judge_head, name, data[:89], told, keys)[0] == "no_key"
        assert refused(reading.open_batch, name, data, keys.ring)[0] == "no_key"


def test_what_does_not_authenticate_is_damaged(batch):
    name = name_of(batch, sealed=True)
    data = sealing.seal(batch_file(batch).data, RING, "u")
    changed = data[:-1] + bytes((data[-1] ^ 1,))
    for broken in (changed, data[:-1], data + b"x", data[:20], b"TDSEAL01"):
        assert refused(reading.open_batch, name, broken, RING)[0] == "damaged"
    assert refused(reading.judge_head, name, changed, None, KEYS)[0] == "damaged"
    of_another = parse_audio_name(name.path.replace("chunks/u/", "chunks/v/"))
    assert refused(reading.open_batch, of_another, data, RING)[0] == "damaged"
    assert refused(reading.judge_head, of_another, data, None, KEYS)[0] == "damaged"


def test_what_was_sealed_must_be_a_batch(batch):
    name = name_of(batch, sealed=True)
    assert refused(reading.open_batch, name, sealing.seal(b"a letter", RING, "u"), RING)[0] == "not_a_batch"
    assert refused(reading.judge_head, name, sealing.seal(b"x", RING, "u"), None, KEYS)[0] == "not_a_batch"
    assert (
        refused(reading.judge_head, name_of(batch, sealed=False), b"OggS and", None, KEYS)[0] == "not_a_batch"
    )


def test_what_is_sealed_is_not_played_under_the_name_of_what_is_not(batch):
    sealed = sealing.seal(batch_file(batch).data, RING, "u")
    name = name_of(batch, sealed=False)
    head = sealed[: reading.head_bytes(name, None)]
    assert refused(reading.judge_head, name, head, None, KEYS)[0] == "damaged"
    assert refused(reading.older_pcm, parse_audio_name("chunks/u/c/1.000.bin"), sealed, "")[0] == "damaged"


def test_the_first_bytes_tell_older_ones(batch):
    for sealed in (False, True):
        assert reading.judge_head(name_of(batch, sealed=sealed), b"neither", None, KEYS) is None
        assert reading.judge_head(name_of(batch, sealed=sealed), b"", None, KEYS) is None


def test_older_ones_are_judged_and_read():
    name = parse_audio_name("chunks/u/c/1.000.batch.bin")
    assert reading.judge_older(name, bytes(101), "") == (Verdict(OlderFacts("pcm", 150)), "")
    assert reading.older_pcm(name, bytes(101), "") == bytes(100)
    sealed = parse_audio_name("chunks/u/c/1.000.enc")
    verdict, detail = reading.judge_older(sealed, b"\0\0\0\x30" + bytes(48), "secret")
    assert verdict == Verdict(OlderFacts("pcm", 30), "damaged")
    assert detail.startswith("sealed records: record 0 does not authenticate")
    assert refused(reading.older_pcm, sealed, b"\0", "secret")[0] == "damaged"
