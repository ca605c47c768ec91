import subprocess
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodec.errors import OggError
from audiocodec.ogg import OggOpusWriter, OpusHead, OpusTags, read_ogg_opus
from audiocodec.ogg.page import read_page
from audiocodec.packet import MAX_PACKET_BYTES, packet_facts
from audiocodec.silence import silent_packets
from audiocodec.span import decode

TAGS = OpusTags("tapedeck", [("TAPEDECK_VERSION", "1")])
SILENCE = silent_packets(960, 1)[0]


def write(packets, *, pre_skip=312, trim=0, rate=16_000, channels=1):
    writer = OggOpusWriter(OpusHead(channels, pre_skip, rate), TAGS, 7)
    pages = [writer.start(), *(writer.packet(data, packet_facts(data).samples) for data in packets)]
    return b"".join([*pages, writer.finish(trim)])


def padded(size):
    """A packet of just this size: a frame of one byte, the rest padding (RFC 6716 §3.2.5)."""
    blocks, rest = divmod(size - 4, 255)
    return b"\xfb\x41" + b"\xff" * blocks + bytes((rest,)) + b"x" + bytes(254 * blocks + rest)


def pages_of(data):
    at = 0
    while at < len(data):
        page = read_page(data, at)
        yield page
        at = page.end


@pytest.fixture
def writer():
    writer = OggOpusWriter(OpusHead(1, 312, 16_000), TAGS, 7)
    writer.start()
    return writer


def test_writing_the_golden_file_again_gives_the_same_bytes(golden):
    file = read_ogg_opus(golden)
    total = len(file.packets) * 960
    writer = OggOpusWriter(file.head, file.tags, 0x1234ABCD)
    again = [writer.start(), *(writer.packet(data, 960) for data in file.packets)]
    assert b"".join([*again, writer.finish(total - file.end_granule)]) == golden


def test_pages_of_a_second_leave_while_the_stream_goes_on(writer):
    pieces = [writer.packet(SILENCE, 960) for _ in range(151)]
    assert [number for number, piece in enumerate(pieces) if piece] == [50, 100, 150]
    page = read_page(pieces[50], 0)
    assert (page.granule, len(page.lacing), page.flags) == (48_000, 50, 0)


def test_the_shape_of_a_file():
    pages = list(pages_of(write([SILENCE] * 120, trim=100)))
    assert [page.flags for page in pages] == [2, 0, 0, 0, 4]
    assert [page.granule for page in pages] == [0, 0, 48_000, 96_000, 120 * 960 - 100]
    assert [page.sequence for page in pages] == [0, 1, 2, 3, 4]
    assert {page.serial for page in pages} == {7}


def test_full_pages_leave_early():
    """480 packets of 2.5 ms are a second, but a page holds 255 segments; so do two packets of 40,000 bytes."""
    short = silent_packets(120, 1)[0]
    file = write([short] * 480)
    assert [len(page.lacing) for page in pages_of(file)] == [1, 1, 255, 225]
    large = padded(40_000)
    assert [len(page.lacing) for page in pages_of(write([large] * 3))] == [1, 1, 157, 157, 157]


@pytest.mark.parametrize("size", [254, 255, 256, 509, 510, 511, MAX_PACKET_BYTES])
def test_packets_at_the_edges_of_lacing(size):
    packet = padded(size)
    assert (len(packet), packet_facts(packet).samples) == (size, 960)
    assert read_ogg_opus(write([packet, SILENCE, packet])).packets == [packet, SILENCE, packet]


@given(
    pieces=st.lists(
        st.lists(
            st.tuples(
                st.sampled_from([1, 3, 254, 255, 300, 1_275, 9_000]), st.sampled_from([120, 960, 5_760])
            )
        ),
        max_size=4,
    )
)
def test_many_at_once_make_the_same_file_as_one_by_one(pieces):
    single, many = (OggOpusWriter(OpusHead(1, 0, 16_000), TAGS, 7) for _ in range(2))
    one_by_one, at_once = [single.start()], [many.start()]
    for piece in pieces:
        packets, durations = [b"x" * size for size, _ in piece], [samples for _, samples in piece]
        one_by_one += map(single.packet, packets, durations)
        at_once.append(many.packets(packets, durations))
    if any(pieces):
        one_by_one.append(single.finish(7))
        at_once.append(many.finish(7))
    assert b"".join(one_by_one) == b"".join(at_once)


def test_many_packets_want_as_many_durations(writer):
    with pytest.raises(ValueError, match="zip"):
        writer.packets([SILENCE], [960, 960])


def test_what_is_written_is_read(speech_span):
    file = read_ogg_opus(write(speech_span.packets, trim=speech_span.trim))
    assert tuple(file.packets) == speech_span.packets
    assert (file.head, file.tags) == (OpusHead(1, 312, 16_000), TAGS)
    assert file.end_granule == speech_span.lead + speech_span.samples


@pytest.mark.parametrize(
    ("data", "samples"), [(b"", 960), (bytes(MAX_PACKET_BYTES + 1), 960), (b"x", 0), (b"x", 5761)]
)
def test_packets_that_are_refused(writer, data, samples):
    with pytest.raises(OggError, match="packet of"):
        writer.packet(data, samples)


@pytest.mark.parametrize("trim", [-1, 961])
def test_trimming_is_within_the_last_packet(writer, trim):
    writer.packet(SILENCE, 960)
    writer.packet(SILENCE, 960)
    with pytest.raises(OggError, match="trim of"):
        writer.finish(trim)
    assert writer.finish(960)


def test_a_stream_shorter_than_its_pre_skip(writer):
    writer.packet(SILENCE, 960)
    with pytest.raises(OggError, match="shorter than its pre-skip"):
        writer.finish(700)


def test_a_stream_without_packets(writer):
    with pytest.raises(OggError, match="without packets"):
        writer.finish()


def test_the_order_of_calls(writer):
    with pytest.raises(OggError, match="is open"):
        writer.start()
    writer.packet(SILENCE, 960)
    writer.finish()
    for call in (writer.start, writer.finish, lambda: writer.packet(SILENCE, 960)):
        with pytest.raises(OggError, match="is finished"):
            call()
    with pytest.raises(OggError, match="is new"):
        OggOpusWriter(OpusHead(1, 312, 16_000), TAGS, 7).packet(SILENCE, 960)


@pytest.mark.parametrize("serial", [-1, 1 << 32])
def test_serials(serial):
    with pytest.raises(OggError, match="serial"):
        OggOpusWriter(OpusHead(1, 312, 16_000), TAGS, serial)


@pytest.fixture
def files(speech_span, tmp_path):
    """A whole run; the middle of one, with pre-roll; a stereo gap filled with all sizes of silence."""
    mixed = [*silent_packets(1_800, 2), *silent_packets(96_000, 2)]
    contents = {
        "whole.opus": write(speech_span.packets, trim=speech_span.trim),
        "middle.opus": write(speech_span.packets[100:300], pre_skip=15_360),
        "silence.opus": write(mixed, channels=2, trim=60),
        "short.opus": write(speech_span.packets[:1], trim=500),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return [tmp_path / name for name in contents]


def test_ffmpeg_takes_them_without_a_warning(files, program):
    ffmpeg = program("ffmpeg")
    for path in files:
        command = [ffmpeg, "-v", "warning", "-xerror", "-i", str(path), "-f", "null", "-"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout + done.stderr == "", path.name


def test_opusinfo_takes_them_without_a_warning(files, program):
    opusinfo = program("opusinfo")
    for path in files:
        done = subprocess.run([opusinfo, str(path)], check=True, capture_output=True, text=True)
        said = (done.stdout + done.stderr).lower()
        assert "warning" not in said, said
        assert "error" not in said, said
        assert "logical stream 1 ended" in said


def test_opusdec_plays_exactly_the_samples(files, program, speech_span, tmp_path):
    opusdec = program("opusdec")
    lengths = []
    for path in files:
        out = tmp_path / "out.wav"
        command = [opusdec, "--quiet", "--rate", "48000", str(path), str(out)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout + done.stderr == "", path.name
        with wave.open(str(out)) as sound:
            lengths.append(sound.getnframes())
    assert lengths == [speech_span.samples, 200 * 960 - 15_360, 1_800 + 96_000 - 60 - 312, 960 - 500 - 312]


def test_the_file_sounds_as_the_span_does(speech_span, program, tmp_path):
    (tmp_path / "a.opus").write_bytes(write(speech_span.packets, trim=speech_span.trim))
    out = [program("ffmpeg"), "-v", "error", "-c:a", "libopus", "-i", str(tmp_path / "a.opus")]
    pcm = subprocess.run([*out, "-f", "s16le", "-"], check=True, capture_output=True).stdout
    assert len(pcm) == len(b"".join(decode(speech_span, (), 48_000, 1)))
