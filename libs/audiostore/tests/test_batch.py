import re
import struct
import subprocess
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from audiocodec import decode, join, preroll_after
from audiocodec.ogg import read_ogg_opus
from audiocodec.packet import packet_facts
from audiocodec.silence import silent_packets
from audiostore.batch import (
    Batch,
    batch_end_ms,
    batch_metadata,
    batch_start_ms,
    fill,
    read_batch,
    write_batch,
)
from audiostore.errors import BatchFormatError


def batch_of(recording, spans, preroll=(), source="pcm16"):
    conversation = spans[0].conversation
    return Batch(conversation, source, recording.rate, recording.channels, tuple(preroll), tuple(spans))


def moved(span, ms, samples=0, epoch=None):
    """The same packets, recorded later."""
    return replace(
        span,
        run_start_ms=span.run_start_ms + ms,
        first_sample=span.first_sample + samples,
        epoch=epoch or span.epoch,
    )


def whole(speech, **_):
    return batch_of(speech, [speech.span])


def beginning(speech, **_):
    return batch_of(speech, join(speech.spans[:4]))


def middle(speech, **_):
    (before,) = join(speech.spans[:4])
    return batch_of(speech, join(speech.spans[4:6]), preroll_after((), before))


def end(speech, **_):
    (before,) = join(speech.spans[:4])
    return batch_of(speech, join(speech.spans[4:]), preroll_after((), before))


def short_preroll(speech, **_):
    first = speech.spans[0]
    head = replace(first, packets=first.packets[:2], samples=2 * 960 - first.lead, end_offset=10)
    rest = replace(
        first,
        packets=first.packets[2:],
        samples=48 * 960,
        lead=0,
        starts=False,
        first_sample=head.samples,
        first_offset=10,
    )
    return batch_of(speech, [rest], preroll_after((), head))


def no_preroll(speech, **_):
    return batch_of(speech, [speech.spans[2]])


def two_runs(speech, make_record, make_sound):
    other = make_record(
        make_sound(2.0, seed=2), run_start_ms=speech.span.end_ms + 1777, epoch=speech.span.epoch + 9
    )
    return batch_of(speech, [speech.span, other.span])


def continued_then_another_run(speech, make_record, make_sound):
    (before,) = join(speech.spans[:4])
    (rest,) = join(speech.spans[4:])
    other = make_record(
        make_sound(2.0, seed=3), run_start_ms=rest.end_ms + 333, epoch=rest.epoch + 9, finished=False
    )
    return batch_of(speech, [rest, other.span], preroll_after((), before))


def many_odd_gaps(speech, make_record, make_sound):
    spans = []
    start = speech.span.run_start_ms
    for number in range(24):
        # lengths and positions that are no multiples of 2.5 ms
        piece = make_record(
            make_sound(0.5 + number * 0.0137, seed=10 + number),
            run_start_ms=start,
            epoch=start + number,
            per_span=500,
        ).span
        spans.append(replace(piece, first_sample=7 * number))
        start = spans[-1].end_ms + 67 + 13 * number
    return batch_of(speech, spans)


def a_gap_just_wide_enough(speech, **_):
    first = speech.span
    second = moved(first, 9000, samples=first.trim + first.lead, epoch=first.epoch + 1)
    assert fill(first, second) == 0
    return batch_of(speech, [first, second])


def continued_after_a_gap(speech, **_):
    # a device's own Opus with a mark: the coder goes on, the clock jumps
    return batch_of(
        speech,
        [*join(speech.spans[:2]), *join([moved(span, 1501) for span in speech.spans[5:7]])],
        source="opus",
    )


def nothing_to_hear(speech, **_):
    first = speech.spans[0]
    span = replace(first, packets=first.packets[:1], samples=0, trim=960 - first.lead)
    return batch_of(speech, [span])


def nothing_but_lead(speech, **_):
    first = speech.spans[0]
    return batch_of(speech, [replace(first, packets=tuple(silent_packets(120, 1)), samples=0, lead=120)])


def silent_end(speech, **_):
    # only bad packets came after the gap: they hold an offset, and no time
    empty = replace(
        speech.spans[1], packets=(), samples=0, run_start_ms=speech.span.end_ms + 500, first_sample=0
    )
    return batch_of(speech, [*join(speech.spans[:2]), moved(empty, 100)])


def stereo(speech, make_record, make_sound):
    left, right = make_sound(3.0, 48_000, 5), make_sound(3.0, 48_000, 6)
    pair = make_record(np.stack([left, right], axis=1).reshape(-1), rate=48_000, channels=2)
    later = moved(pair.span, 4321, epoch=pair.span.epoch + 1)
    return batch_of(pair, [pair.span, later])


def narrow(speech, make_record, make_sound):
    recording = make_record(make_sound(2.003, 8_000), rate=8_000)
    return batch_of(recording, [recording.span])


def long_packets_and_dtx(speech, **_):
    first = speech.spans[0]
    dtx = bytes([first.packets[0][0] & 0xFC])
    packets = (*first.packets[:20], dtx, dtx, *first.packets[20:30], bytes([first.packets[0][0] | 3, 3]))
    samples = sum(packet_facts(packet).samples for packet in packets)
    return batch_of(speech, [replace(first, packets=packets, samples=samples - 120, lead=120)], source="opus")


CASES = [
    whole, beginning, middle, end, short_preroll, no_preroll, two_runs, continued_then_another_run, many_odd_gaps,
    a_gap_just_wide_enough, continued_after_a_gap, nothing_to_hear, nothing_but_lead, silent_end, stereo, narrow,
    long_packets_and_dtx,
]  # fmt: skip


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def batch(request, speech, make_record, make_sound):
    return request.param(speech, make_record=make_record, make_sound=make_sound)


@pytest.fixture
def path(tmp_path, batch):
    file = tmp_path / "1732147200.123-1732147209.123.batch.bin"
    file.write_bytes(write_batch(batch))
    return file


def clock_samples(batch):
    """Samples from the first to the last moment, as the clock has them."""
    return batch.spans[-1].end_48k - batch.spans[0].start_48k


def play(opusdec, path, batch):
    """What a player makes of the file: int16 at 48 kHz, (samples, channels)."""
    done = subprocess.run(
        [opusdec, "--quiet", "--rate", "48000", "--no-dither", path, path.with_suffix(".raw")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout + done.stderr == ""
    return np.frombuffer(path.with_suffix(".raw").read_bytes(), np.int16).reshape(-1, batch.channels)


def test_reading_is_the_inverse_of_writing(batch):
    assert read_batch(write_batch(batch)) == batch


def test_the_same_batch_gives_the_same_bytes(batch):
    data = write_batch(batch)
    assert write_batch(replace(batch)) == data == write_batch(read_batch(data))
    assert batch_metadata(batch, data) == batch_metadata(read_batch(data), data)


def test_ffmpeg_takes_it_without_a_word(path, program, batch):
    done = subprocess.run(
        [program("ffmpeg"), "-v", "warning", "-i", path, "-f", "s16le", "-ar", "48000", "-"],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == b""
    assert abs(len(done.stdout) // 2 // batch.channels - clock_samples(batch)) <= 60


def test_opusinfo_takes_it_without_a_word(path, program):
    done = subprocess.run([program("opusinfo"), path], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    assert not re.search("warning|error|invalid|hole|missing|unknown", done.stdout, re.IGNORECASE), (
        done.stdout
    )


def test_opusdec_takes_it_and_plays_as_long_as_the_clock_ran(path, program, batch):
    sound = play(program("opusdec"), path, batch)
    assert abs(len(sound) - clock_samples(batch)) <= 60


def test_the_head_is_true(batch):
    ogg = read_ogg_opus(write_batch(batch))
    assert (ogg.head.channels, ogg.head.input_sample_rate) == (batch.channels, batch.sample_rate)
    assert ogg.head.pre_skip >= 120
    before = sum(packet_facts(packet).samples for packet in batch.preroll) + batch.spans[0].lead
    assert ogg.head.pre_skip == (before if before >= 120 else before + 120)
    assert ogg.tags.vendor == "tapedeck"


def lag(sound, reference):
    """Samples that `sound` comes later than `reference`, by cross-correlation."""
    size = 1 << (len(sound) + len(reference)).bit_length()
    spectrum = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(reference, size))
    found = int(np.argmax(np.fft.irfft(spectrum, size)))
    return found - size if found > size // 2 else found


def at_48k(sound, rate):
    """Band-limited interpolation by zero-padding the spectrum: no delay of its own."""
    factor = 48_000 // rate
    spectrum = np.fft.rfft(sound.astype(float))
    padded = np.zeros(len(sound) * factor // 2 + 1, complex)
    padded[: len(spectrum)] = spectrum
    return np.fft.irfft(padded, len(sound) * factor) * factor


@pytest.mark.parametrize(
    "case", [whole, two_runs, many_odd_gaps, continued_then_another_run], ids=lambda case: case.__name__
)
def test_file_time_is_clock_time(case, speech, make_record, make_sound, tmp_path, program):
    batch = case(speech, make_record=make_record, make_sound=make_sound)
    file = tmp_path / "file.opus"
    file.write_bytes(write_batch(batch))
    sound = play(program("opusdec"), file, batch)[:, 0].astype(float)
    for number, span in enumerate(batch.spans):
        begins = span.start_48k - batch.spans[0].start_48k
        if case is many_odd_gaps:
            source = make_sound(0.5 + number * 0.0137, seed=10 + number)
        elif number == 0:
            source = speech.sound[span.first_sample // 3 :]
        else:
            source = make_sound(2.0, seed=2 if case is two_runs else 3)
        reference = at_48k(source, 16_000)[: span.samples]
        around = np.concatenate([np.zeros(960), sound, np.zeros(960)])[
            begins : begins + len(reference) + 1920
        ]
        assert abs(lag(around, reference) - 960) <= 60, f"run {number}"


def test_gaps_are_silent(speech, make_record, make_sound, tmp_path, program):
    batch = two_runs(speech, make_record, make_sound)
    file = tmp_path / "file.opus"
    file.write_bytes(write_batch(batch))
    sound = play(program("opusdec"), file, batch)[:, 0]
    first, second = batch.spans
    gap = sound[first.samples + 4800 : second.start_48k - first.start_48k - 4800]
    assert len(gap) > 40_000
    assert np.abs(gap).max() <= 1


def snr_db(sound, reference):
    count = min(len(sound), len(reference))
    error = sound[:count].astype(float) - reference[:count]
    return 10 * np.log10(np.sum(reference[:count].astype(float) ** 2) / max(np.sum(error**2), 1.0))


def test_a_file_alone_decodes_as_the_whole_session_would(speech, tmp_path, program):
    through = np.frombuffer(b"".join(decode(speech.span, (), 16_000, 1)), np.int16)
    assert len(through) == len(speech.sound)
    (before,) = join(speech.spans[:4])
    for spans in (speech.spans[4:6], speech.spans[4:]):
        (span,) = join(spans)
        batch = batch_of(speech, [span], preroll_after((), before))
        found = read_batch(write_batch(batch))
        alone = np.frombuffer(b"".join(decode(found.spans[0], found.preroll, 16_000, 1)), np.int16)
        at = span.first_sample // 3
        source, session = speech.sound[at : at + len(alone)], through[at : at + len(alone)]
        assert abs(snr_db(alone, source) - snr_db(session, source)) < 0.5
        assert snr_db(alone[:1600], session[:1600]) > 20  # no seam at its start
    with_player = tmp_path / "end.opus"
    with_player.write_bytes(write_batch(batch))
    played = play(program("opusdec"), with_player, batch)[:, 0]
    assert len(played) == span.samples


def test_names_take_the_milliseconds_rounded_down(speech):
    batch = batch_of(speech, [moved(speech.span, 0, samples=47)])
    assert batch_start_ms(batch) == speech.span.run_start_ms
    assert batch_end_ms(batch) == (batch.spans[0].start_48k + batch.spans[0].samples) // 48
    batch = batch_of(speech, [moved(speech.span, 0, samples=48)])
    assert batch_start_ms(batch) == speech.span.run_start_ms + 1
    for case in (nothing_to_hear, nothing_but_lead):
        assert batch_start_ms(case(speech)) == batch_end_ms(case(speech))


def broken(speech):
    span = speech.span
    good = batch_of(speech, [span])
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


def test_what_breaks_a_rule_is_not_written(speech):
    for what, batch in broken(speech):
        written = None
        with suppress(BatchFormatError):
            written = write_batch(batch)
        assert written is None, what


def with_packet(data, number, packet):
    """The file with one audio packet exchanged for another of the same length, its page's checksum made right."""
    from audiocodec.ogg.page import checksum  # noqa: PLC0415 - only this test breaks files

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


def test_broken_twins_are_refused(speech, make_record, make_sound):
    data = write_batch(two_runs(speech, make_record, make_sound))
    for at in (0, 30, 60, 100, 200, len(data) // 2, len(data) - 1):
        with pytest.raises(BatchFormatError):
            read_batch(data[:at])
        with pytest.raises(BatchFormatError):
            read_batch(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(BatchFormatError):
        read_batch(data + b"\0")


def test_a_gap_that_holds_something_else_is_refused(speech, make_record, make_sound):
    batch = two_runs(speech, make_record, make_sound)
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
def test_tags_that_do_not_say_what_lies_there_are_refused(speech, old, new):
    from audiocodec.ogg.page import checksum  # noqa: PLC0415 - only this test breaks files

    data = write_batch(whole(speech))
    assert data.count(old) == 1
    changed = bytearray(data.replace(old, new))
    page = changed.index(b"OggS", 4)
    end = changed.index(b"OggS", page + 4)
    changed[page + 22 : page + 26] = bytes(4)
    changed[page + 22 : page + 26] = struct.pack("<I", checksum(bytes(changed[page:end])))
    with pytest.raises(BatchFormatError):
        read_batch(bytes(changed))


def test_a_packet_kept_by_one_batch_is_byte_for_byte_in_the_file(speech):
    batch = end(speech)
    packets = read_ogg_opus(write_batch(batch)).packets
    assert tuple(packets) == (*batch.preroll, *batch.spans[0].packets)
