"""What an older object holds, by its name and its bytes."""

import pytest

from audiostore import sealing
from audiostore.errors import LegacyFormatError
from audiostore.key_ring import KeyRing
from audiostore.legacy import parse_audio_name, read_legacy, samples_by_size, told_samples

SECRET = "an older secret of thirty-two byt"
PCM = bytes(range(256)) * 10
TEN_PACKETS = 10 * 640


def name_of(file: str):
    return parse_audio_name(f"chunks/user-1/conv-1/{file}")


@pytest.mark.parametrize("file", ["1.000.bin", "1.000.batch.bin", "1.000-5.000.batch.bin"])
def test_raw_pcm_is_itself_without_an_odd_byte(file):
    name = name_of(file)
    for data in (PCM, PCM + b"x"):
        assert read_legacy(name, data, "").pcm() == PCM
        assert told_samples(name, data) == samples_by_size(name, len(data)) == len(PCM) // 2


@pytest.mark.parametrize("file", ["1.000.enc", "1.000.batch.enc", "1.000-5.000.batch.enc"])
def test_sealed_pcm_is_opened(seal, file):
    name = name_of(file)
    for data in (seal(PCM), seal(PCM + b"x"), seal(PCM[:1001]) + seal(PCM[1001:])):
        assert read_legacy(name, data, SECRET).pcm() == PCM
        assert told_samples(name, data) == len(PCM) // 2
    assert samples_by_size(name, len(seal(PCM))) == len(PCM) // 2


def test_blobs_are_decoded_sealed_or_not(seal, blob, packets):
    plain = blob(packets, TEN_PACKETS)
    opus, sealed = name_of("1.000.opus"), name_of("1.000.opus.enc")
    audio = read_legacy(opus, plain, "")
    assert len(audio.pcm()) == audio.pcm_bytes == TEN_PACKETS
    assert read_legacy(sealed, seal(plain[:50]) + seal(plain[50:]), SECRET) == audio
    assert samples_by_size(opus, len(plain)) is None
    assert samples_by_size(sealed, len(plain)) is None
    assert told_samples(opus, plain) == TEN_PACKETS // 2
    assert told_samples(sealed, seal(plain)) == 0


@pytest.mark.parametrize("file", ["1.000.bin", "1.000.batch.bin"])
@pytest.mark.parametrize("data", [b"", b"x"])
def test_what_holds_no_sample_is_no_audio(file, data):
    with pytest.raises(LegacyFormatError, match="it holds no sample"):
        read_legacy(name_of(file), data, "")
    assert told_samples(name_of(file), data) == 0


@pytest.mark.parametrize("file", ["1.000.bin", "1.000.batch.bin", "1.000-2.000.batch.bin", "1.000.opus"])
def test_what_tapedeck_sealed_is_no_pcm_under_any_name(file):
    sealed = sealing.seal(bytes(1000), KeyRing({"k1": bytes(32)}), "u")
    with pytest.raises(LegacyFormatError, match="sealed by Tapedeck"):
        read_legacy(name_of(file), sealed, "")


def test_sealed_nothing_is_no_audio(seal, blob):
    with pytest.raises(LegacyFormatError, match="it holds no sample"):
        read_legacy(name_of("1.000.enc"), seal(b""), SECRET)
    with pytest.raises(LegacyFormatError, match="it holds no sample"):
        read_legacy(name_of("1.000.opus.enc"), seal(blob((), 0)), SECRET)
    assert samples_by_size(name_of("1.000.enc"), 5) == 0


def test_a_sealed_blob_may_be_broken_inside(seal, blob, packets):
    with pytest.raises(LegacyFormatError, match="Opus blob: packet 9 of 10 is cut short"):
        read_legacy(name_of("1.000.opus.enc"), seal(blob(packets, TEN_PACKETS)[:-1]), SECRET)


def test_records_in_another_order_are_another_audio(seal):
    """The older format cannot notice it: nothing binds a record to its place. As PCM it is played as it lies there."""
    first, second = seal(PCM[:100]), seal(PCM[100:])
    assert read_legacy(name_of("1.000.enc"), second + first, SECRET).pcm() == PCM[100:] + PCM[:100]


def test_records_of_a_blob_in_another_order_are_refused(seal, blob, packets):
    plain = blob(packets, TEN_PACKETS)
    with pytest.raises(LegacyFormatError, match="Opus blob: its header says"):
        read_legacy(name_of("1.000.opus.enc"), seal(plain[50:]) + seal(plain[:50]), SECRET)
