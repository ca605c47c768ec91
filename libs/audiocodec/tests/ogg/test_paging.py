"""What the writer writes, foretold."""

from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.ogg import OggOpusWriter, OpusHead, OpusTags, Paged, paged
from audiocodec.ogg.page import read_page

SIZES = st.integers(1, 1275) | st.integers(253, 257) | st.integers(1, 61_440)
PACKETS = st.lists(st.tuples(SIZES, st.sampled_from([120, 240, 480, 960, 1920, 2880, 5760])), max_size=200)
HEAD, TAGS = OpusHead(1, 0, 16_000), OpusTags("tapedeck", [])


def pages_of(data: bytes):
    at = 0
    while at < len(data):
        page = read_page(data, at)
        yield page, data[at : page.end]
        at = page.end


@settings(deadline=None, max_examples=50)
@given(PACKETS, PACKETS, PACKETS)
def test_packets_that_begin_a_page_take_what_is_foretold_whatever_comes_before_them(before, these, after):
    writer = OggOpusWriter(HEAD, TAGS, 7)
    headers = writer.start()
    written = b""
    for group in (before, these, after):
        writer.break_page()
        written += writer.packets([bytes(size) for size, _ in group], [samples for _, samples in group])
    if before or these or after:
        written += writer.finish()
    told = [paged(group) for group in (before, these, after)]
    assert len(written) == sum(each.bytes for each in told)
    assert len(list(pages_of(written))) == sum(each.pages for each in told)
    assert len(headers) > 0


def test_nothing_takes_nothing():
    assert paged(()) == Paged(0, 0)


@settings(deadline=None, max_examples=50)
@given(PACKETS.filter(bool), PACKETS.filter(bool))
def test_a_stream_that_is_resumed_goes_on_as_if_it_had_been_one(before, after):
    def add(writer: OggOpusWriter, group) -> bytes:
        writer.break_page()
        return writer.packets([bytes(size) for size, _ in group], [samples for _, samples in group])

    through = OggOpusWriter(HEAD, TAGS, 7)
    headers = through.start()
    whole = headers + add(through, before) + add(through, after) + through.finish()
    told = paged(before)
    resumed = OggOpusWriter.resumed(HEAD, TAGS, 7, 2 + told.pages, sum(samples for _, samples in before))
    rest = add(resumed, after) + resumed.finish()
    assert whole[len(headers) + told.bytes :] == rest
