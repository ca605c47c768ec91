import hashlib
from dataclasses import replace

import pytest

from audiocodec import Span, join, preroll_after
from audiocodec.ogg import OpusTags, Paged, read_ogg_headers
from audiostore.batch import Batch, batch_file
from audiostore.errors import BatchFormatError
from audiostore.facts import HEAD_BYTES, BatchFacts, batch_facts, head_and_tags, metadata
from audiostore.layout import MAX_RUNS
from audiostore.store import MAX_METADATA_BYTES, check_metadata

SPAN = Span(
    conversation="c-1",
    epoch=1_732_147_200_123,
    first_offset=32_000,
    end_offset=64_000,
    run_start_ms=1_732_147_200_000,
    first_sample=47_688,
    samples=96_001,
    lead=0,
    trim=0,
    starts=False,
    packets=(),
)
LATER = replace(
    SPAN, epoch=1_732_147_209_000, first_offset=0, end_offset=7, run_start_ms=1_732_147_209_001, first_sample=0, samples=0,
    lead=312, trim=648, starts=True,
)  # fmt: skip
FACTS = BatchFacts("c-1", "pcm16", 16_000, 1, 15_360, (SPAN, LATER), ((16, 100), (250, 1)), None)


def test_the_tags_as_they_stand_in_the_file():
    head, tags = head_and_tags(FACTS)
    assert (head.channels, head.pre_skip, head.input_sample_rate) == (1, 15_360, 16_000)
    assert tags.vendor == "tapedeck"
    assert tags.comments == [
        ("TAPEDECK_VERSION", "1"),
        ("TAPEDECK_CONVERSATION", "c-1"),
        ("TAPEDECK_START", "1732147200.993"),
        ("TAPEDECK_RUNS", "1732147200123:32000-64000@1732147200993+2000;1732147209000:0-7@1732147209001+0"),
        ("TAPEDECK_SAMPLES", "1732147200000/47688+96001;1732147209001/0+0"),
        ("TAPEDECK_PACKETS", "16/100/0/0/0;250/1/312/648/1"),
        ("TAPEDECK_SOURCE", "pcm16"),
    ]


def test_metadata_as_it_stands_at_the_object():
    assert metadata(FACTS, b"file") == {
        "tapedeck-version": "1",
        "tapedeck-conversation": "c-1",
        "tapedeck-runs": "1732147200123:32000-64000@1732147200993+2000;1732147209000:0-7@1732147209001+0",
        "tapedeck-samples": "1732147200000/47688+96001;1732147209001/0+0",
        "tapedeck-packets": "16/100/0/0/0;250/1/312/648/1",
        "tapedeck-source": "pcm16",
        "tapedeck-sample-rate": "16000",
        "tapedeck-channels": "1",
        "tapedeck-pre-skip": "15360",
        "tapedeck-duration-ms": str(1_732_147_209_001 - 1_732_147_200_993),
        "tapedeck-sha256": hashlib.sha256(b"file").hexdigest(),
    }


def test_both_say_the_same_and_all():
    assert batch_facts(head_and_tags(FACTS)) == FACTS
    there = metadata(FACTS, b"file") | {"somebody-elses": "x"}
    assert batch_facts(there) == replace(FACTS, sha256=hashlib.sha256(b"file").hexdigest())
    assert (FACTS.start_ms, FACTS.end_ms, FACTS.samples) == (1_732_147_200_993, 1_732_147_209_001, 96_001)


def test_metadata_tells_what_the_packets_of_each_run_take_where_the_writer_knew_it():
    told = replace(FACTS, pages=(Paged(2, 12_345), Paged(0, 0)))
    there = metadata(told, b"file")
    assert there["tapedeck-pages"] == "2/12345;0/0"
    assert batch_facts(there).pages == told.pages
    del there["tapedeck-pages"]
    assert there == metadata(FACTS, b"file")
    assert batch_facts(there).pages is None
    assert batch_facts(head_and_tags(told)).pages is None


def test_the_first_bytes_of_an_object_are_enough(speech):
    (before,) = join(speech.spans[:4])
    (span,) = join(speech.spans[4:])
    batch = Batch(span.conversation, "pcm16", 16_000, 1, preroll_after((), before), (span,))
    file = batch_file(batch)
    facts = batch_facts(read_ogg_headers(file.data[:HEAD_BYTES]))
    assert facts.spans == (replace(span, packets=()),)
    assert facts.packets == ((len(batch.preroll), len(span.packets)),)
    assert batch_facts(file.metadata) == replace(facts, sha256=hashlib.sha256(file.data).hexdigest())


def test_the_longest_facts_fit():
    wide = replace(
        SPAN, conversation="c" * 128, epoch=9_999_999_999_999, first_offset=10**12, end_offset=10**12 + 1,
        run_start_ms=9_999_999_999_999, first_sample=10**10, samples=10**6, lead=65_000, trim=5_760,
    )  # fmt: skip
    facts = replace(
        FACTS,
        conversation_id="c" * 128,
        spans=(wide,) * MAX_RUNS,
        packets=((10_000, 10_000),) * MAX_RUNS,
        pages=(Paged(10_000, 10**8),) * MAX_RUNS,
    )
    head, tags = head_and_tags(facts)
    assert len(head.encode()) + len(tags.encode()) + 200 < HEAD_BYTES
    there = check_metadata(metadata(facts, b""))
    assert sum(map(len, there)) + sum(map(len, there.values())) < MAX_METADATA_BYTES


BROKEN = [
    ("version", "2"),
    ("version", ""),
    ("version", None),
    ("conversation", None),
    ("conversation", ""),
    ("conversation", "a b"),
    ("conversation", "x" * 129),
    ("runs", None),
    ("runs", ""),
    ("runs", "1:2-3@4"),
    ("runs", "1732147200123:32000-64000@1732147200993+2000"),
    ("runs", "1732147200123:32000-64000@1732147200994+2000;1732147209000:0-7@1732147209001+0"),
    ("runs", "1732147200123:64000-32000@1732147200993+2000;1732147209000:0-7@1732147209001+0"),
    ("runs", "1732147200123:-1-64000@1732147200993+2000;1732147209000:0-7@1732147209001+0"),
    ("runs", ";".join(["1:2-3@4+5"] * 25)),
    ("runs", "1:2-3@4+" + "9" * 19),
    ("samples", "1732147200000/47688+96001;1732147209001/0+48"),
    ("samples", "1732147200000/47688+96001;"),
    ("samples", "١/0+0;1/0+0"),
    ("packets", "16/100/0/0/0"),
    ("packets", "16/100/0/0/2;250/1/312/648/1"),
    ("packets", "016/100/0/0/0;250/1/312/648/1"),
    ("source", "PCM"),
    ("source", None),
]


@pytest.mark.parametrize(("field", "value"), BROKEN)
def test_broken_twins_are_refused(field, value):
    there = metadata(FACTS, b"file")
    head, tags = head_and_tags(FACTS)
    comments = [comment for comment in tags.comments if comment[0] != f"TAPEDECK_{field.upper()}"]
    del there[f"tapedeck-{field}"]
    if value is not None:
        there[f"tapedeck-{field}"] = value
        comments.append((f"TAPEDECK_{field.upper()}", value))
    with pytest.raises(BatchFormatError, match=field if field == "version" else None):
        batch_facts(there)
    with pytest.raises(BatchFormatError):
        batch_facts((head, OpusTags(tags.vendor, comments)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sample-rate", "x"),
        ("channels", "3"),
        ("pre-skip", "-1"),
        ("duration-ms", "1"),
        ("duration-ms", "x"),
        ("sha256", "abc"),
        ("pages", "2/500"),
        ("pages", "2/500;1/x"),
        ("pages", ""),
    ],
)
def test_broken_metadata_is_refused(key, value):
    with pytest.raises(BatchFormatError):
        batch_facts(metadata(FACTS, b"file") | {f"tapedeck-{key}": value})


@pytest.mark.parametrize("extra", [("TAPEDECK_START", "1.000"), ("tapedeck_runs", "1:2-3@4+5")])
def test_comments_that_are_there_twice_are_refused(extra):
    head, tags = head_and_tags(FACTS)
    with pytest.raises(BatchFormatError, match="twice"):
        batch_facts((head, OpusTags("tapedeck", [*tags.comments, extra])))


def test_a_start_that_is_not_the_first_runs_is_refused():
    head, tags = head_and_tags(FACTS)
    comments = [(name, "1.000" if name == "TAPEDECK_START" else value) for name, value in tags.comments]
    with pytest.raises(BatchFormatError, match="START"):
        batch_facts((head, OpusTags("tapedeck", comments)))


def test_nothing_of_ours_is_no_batch():
    for there in ({}, {"other": "1"}):
        with pytest.raises(BatchFormatError, match="version"):
            batch_facts(there)


def test_a_comment_cannot_pass_for_the_head():
    head, tags = head_and_tags(FACTS)
    facts = batch_facts(
        (
            head,
            OpusTags(
                "tapedeck",
                [*tags.comments, ("TAPEDECK_CHANNELS", "2"), ("RUNS", "x"), ("SAMPLE-RATE", "8000")],
            ),
        )
    )
    assert (facts.channels, facts.sample_rate) == (1, 16_000)
