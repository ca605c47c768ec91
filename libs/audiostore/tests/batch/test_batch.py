import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.ogg import read_ogg_opus
from audiocodec.ogg.page import checksum
from audiocodec.packet import packet_facts
from audiocodec.silence import silent_packets
from audiostore.batch import batch_end_ms, batch_file, batch_start_ms, read_batch, write_batch
from audiostore.errors import BatchFormatError


def test_reading_is_the_inverse_of_writing(batch):
    assert read_batch(write_batch(batch)) == batch


def test_the_same_batch_gives_the_same_bytes(batch):
    file = batch_file(batch)
    assert batch_file(replace(batch)) == file == batch_file(read_batch(file.data))
    assert write_batch(batch) == file.data


def test_the_head_is_true(batch):
    ogg = read_ogg_opus(write_batch(batch))
    assert (ogg.head.channels, ogg.head.input_sample_rate) == (batch.channels, batch.sample_rate)
    assert ogg.head.pre_skip >= 120
    before = sum(packet_facts(packet).samples for packet in batch.preroll) + batch.spans[0].lead
    assert ogg.head.pre_skip == (before if before >= 120 else before + 120)
    assert ogg.tags.vendor == "tapedeck"


def test_names_take_the_milliseconds_rounded_down(make_batch):
    good = make_batch("whole")
    (span,) = good.spans
    late = replace(good, spans=(replace(span, first_sample=47),))
    assert batch_start_ms(late) == span.run_start_ms
    assert batch_end_ms(late) == (span.run_start_ms * 48 + 47 + span.samples) // 48
    assert batch_start_ms(replace(good, spans=(replace(span, first_sample=48),))) == span.run_start_ms + 1
    for kind in ("nothing_to_hear", "nothing_but_lead"):
        assert batch_start_ms(make_batch(kind)) == batch_end_ms(make_batch(kind))


def moved(span, ms):
    """The same packets, recorded later."""
    return replace(span, run_start_ms=span.run_start_ms + ms)


def broken(good):
    (span,) = good.spans
    other = replace(span, conversation="other")
    yield "another conversation", replace(good, spans=(other,))
    yield "0 runs", replace(good, spans=())
    yield "25 runs", replace(good, spans=tuple(moved(span, 9100 * n) for n in range(25)))
    yield "no packets", replace(good, spans=(replace(span, packets=(), samples=0, lead=0, trim=0),))
    yield "samples played", replace(good, spans=(replace(span, samples=span.samples + 1),))
    yield "negative", replace(good, spans=(replace(span, lead=-1, samples=span.samples + span.lead + 1),))
    yield "pre-roll before a packet", replace(good, preroll=span.packets[:3])
    yield "overlap", replace(good, spans=(span, moved(span, 5000)))
    yield "lead-in does not fit", replace(good, spans=(span, moved(span, span.end_ms - span.start_ms + 5)))
    yield "longer than a batch", replace(good, spans=(span, moved(span, 200_000)))
    yield "a day between", replace(good, spans=(span, moved(span, 86_400_000)))
    yield "no Opus packet", replace(good, spans=(replace(span, packets=(*span.packets[:-1], b"")),))
    yield (
        "trim of more than a packet",
        replace(good, spans=(replace(span, trim=2000, samples=span.samples + span.trim - 2000),)),
    )
    yield "channels", replace(good, channels=3)
    yield "source", replace(good, source="Not A Codec")
    yield "sample rate", replace(good, sample_rate=2**40)
    yield "pre-roll too long", replace(good, preroll=span.packets * 2, spans=(replace(span, starts=False),))
    yield "empty offsets", replace(good, spans=(replace(span, first_offset=9, end_offset=8),))
    yield "before 1970", replace(good, spans=(replace(span, run_start_ms=-10_000),))


def test_what_breaks_a_rule_is_not_written(make_batch):
    for what, batch in broken(make_batch("whole")):
        written = None
        with suppress(BatchFormatError):
            written = write_batch(batch)
        assert written is None, what


def with_packet(data, number, packet):
    """The file with one audio packet exchanged for another of the same length, its page's checksum made right."""
    old = read_ogg_opus(data).packets[number]
    assert len(old) == len(packet)
    where = data.index(old)
    page = data.rindex(b"OggS", 0, where)
    end = data.find(b"OggS", where)
    body = bytearray(data[:where] + packet + data[where + len(old) :])
    end = len(body) if end < 0 else end
    body[page + 22 : page + 26] = bytes(4)
    body[page + 22 : page + 26] = struct.pack("<I", checksum(bytes(body[page:end])))
    return bytes(body)


def test_broken_twins_are_refused(make_batch):
    data = write_batch(make_batch("two_runs"))
    for at in (0, 30, 60, 100, 200, len(data) // 2, len(data) - 1):
        with pytest.raises(BatchFormatError):
            read_batch(data[:at])
        with pytest.raises(BatchFormatError):
            read_batch(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(BatchFormatError):
        read_batch(data + b"\0")


def test_a_gap_that_holds_something_else_is_refused(make_batch):
    batch = make_batch("two_runs")
    data = write_batch(batch)
    number = len(batch.spans[0].packets) + 3
    silence = read_ogg_opus(data).packets[number]
    assert silence == silent_packets(960, 1)[0]
    position = read_ogg_opus(data).packets.index(silence)
    with pytest.raises(BatchFormatError, match="silence"):
        read_batch(with_packet(data, position, silence[:1] + b"\x12\x34"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"TAPEDECK_VERSION=1", b"TAPEDECK_VERSION=2"),
        (b"TAPEDECK_PACKETS=0/", b"TAPEDECK_PACKETS=1/"),
        (b"/312/", b"/313/"),
        (b"TAPEDECK_SOURCE", b"TAPEDECK_SAUCE_"),
    ],
)
def test_tags_that_do_not_say_what_lies_there_are_refused(make_batch, old, new):
    data = write_batch(make_batch("whole"))
    assert data.count(old) == 1
    changed = bytearray(data.replace(old, new))
    page = changed.index(b"OggS", 4)
    end = changed.index(b"OggS", page + 4)
    changed[page + 22 : page + 26] = bytes(4)
    changed[page + 22 : page + 26] = struct.pack("<I", checksum(bytes(changed[page:end])))
    with pytest.raises(BatchFormatError):
        read_batch(bytes(changed))


def test_a_packet_kept_by_one_batch_is_byte_for_byte_in_the_file(make_batch):
    batch = make_batch("end")
    packets = read_ogg_opus(write_batch(batch)).packets
    assert tuple(packets) == (*batch.preroll, *batch.spans[0].packets)


GOLDEN = Path(__file__).parent / "samples" / "two-runs.batch.bin"


def test_the_golden_file_reads_as_it_always_did_and_is_written_the_same_again():
    data = GOLDEN.read_bytes()
    batch = read_batch(data)
    assert write_batch(batch) == data
    assert (batch_start_ms(batch), batch_end_ms(batch)) == (1_732_147_204_116, 1_732_147_208_449)
    assert batch_file(batch).metadata == {
        "tapedeck-version": "1",
        "tapedeck-conversation": "0198c0de-0000-7000-8000-000000000001",
        "tapedeck-runs": "1732147200123:9534-14827@1732147204116+2007;1732147200132:0-5156@1732147206456+1993",
        "tapedeck-samples": "1732147200123/191688+96312;1732147206456/0+95688",
        "tapedeck-packets": "16/101/0/648/0;17/100/312/0/1",
        "tapedeck-source": "pcm16",
        "tapedeck-sample-rate": "16000",
        "tapedeck-channels": "1",
        "tapedeck-pre-skip": "15360",
        "tapedeck-duration-ms": "4333",
        "tapedeck-sha256": "23bcf03834052b7efdc65bb76d3f749e3a80bb5b1fab9d06df6c83a84ff9c3ea",
        "tapedeck-pages": "3/5475;2/5310",
    }


@settings(max_examples=150)
@given(st.data())
def test_no_broken_file_raises_anything_else(data):
    golden = bytearray(GOLDEN.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, 1200))  # the headers, and the first audio
        golden[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    page = golden.find(b"OggS", 4)
    end = golden.find(b"OggS", page + 4)
    if (
        page > 0 and end - page > 27
    ):  # the checksum of the tags' page made right, so that their text is reached
        golden[page + 22 : page + 26] = bytes(4)
        golden[page + 22 : page + 26] = struct.pack("<I", checksum(bytes(golden[page:end])))
    with suppress(BatchFormatError):
        read_batch(bytes(golden))
