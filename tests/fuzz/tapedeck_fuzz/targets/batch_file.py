"""`audiostore.batch.read_batch`: the file that lies in the bucket, as a whole."""

from dataclasses import replace
from random import Random

from audiocodec import Span
from audiocodec.errors import CodecError
from audiocodec.ogg import OggOpusWriter, OpusHead, OpusTags, read_ogg_opus
from audiocodec.packet import packet_facts
from audiostore.batch import Batch, batch_file, read_batch
from audiostore.errors import BatchFormatError
from audiostore.facts import BatchFacts, batch_facts, head_and_tags
from tapedeck_fuzz import edits, ogg_by_hand
from tapedeck_fuzz.decoding import check_decoding
from tapedeck_fuzz.target import Raw, Target, demand


def check(data: bytes) -> int | None:
    """Taken: it can be written, reads the same again, and its metadata say the same."""
    try:
        batch = read_batch(data)
    except BatchFormatError as error:
        demand(str(error).startswith(("batch", "tags")), f"the error names no structure: {error}")
        return None
    written = batch_file(batch)
    demand(read_batch(written.data) == batch, "written and read again it is another batch")
    facts = batch_facts(written.metadata)
    demand(len(facts.spans) == len(batch.spans), "the metadata name other runs")
    if len(data) % 16 == 0:  # decoding costs many times what parsing does
        for number, span in enumerate(batch.spans):
            check_decoding(span, () if number else batch.preroll, batch.sample_rate, batch.channels)
    return sum(map(len, batch.preroll)) + sum(len(packet) for span in batch.spans for packet in span.packets)


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """A comment, a header field or a packet changed, and a right Ogg file written around it; or runs, or pages."""
    if random.randrange(3) == 0:
        return _other_runs(data, random, raw)
    try:
        stream = read_ogg_opus(data)
    except CodecError:
        return ogg_by_hand.mutate(data, random, raw)
    head, comments, packets = stream.head, list(stream.tags.comments), list(stream.packets)
    trim = max(0, sum(packet_facts(packet).samples for packet in packets) - stream.end_granule)
    match random.randrange(6):
        case 0 | 1 if comments:
            at = random.randrange(len(comments))
            comments[at] = (comments[at][0], edits.numbers_in(comments[at][1], random))
        case 2:
            packets = edits.items(packets, random) or packets
        case 3:
            at = random.randrange(len(packets))
            packets[at] = random.choice(
                (raw(packets[at]), b"\xf8\xff\xfe", b"\xe0\xff\xfe", packets[at][:1], packets[at] + b"\0")
            )
        case 4:
            trim = edits.number(trim, random)
        case _:
            return ogg_by_hand.mutate(data, random, raw)
    try:
        if random.randrange(8) == 0:
            head = OpusHead(
                edits.number(head.channels, random),
                edits.number(head.pre_skip, random),
                edits.number(head.input_sample_rate, random),
            )
        writer = OggOpusWriter(head, OpusTags(stream.tags.vendor, comments), 1)
        pages = [writer.start()]
        pages += [writer.packet(packet, packet_facts(packet).samples) for packet in packets]
        return b"".join([*pages, writer.finish(trim)])
    except CodecError:
        return ogg_by_hand.mutate(data, random, raw)


def _other_runs(data: bytes, random: Random, raw: Raw) -> bytes:
    """The file of a batch with a run changed; where there is none, one whose comments agree with each other, but not with its packets."""
    try:
        batch = read_batch(data)
    except BatchFormatError:
        return ogg_by_hand.mutate(data, random, raw)
    spans = list(batch.spans)
    at = random.randrange(len(spans))
    spans[at] = _other_span(spans[at], random)
    if random.randrange(4) == 0:
        again = spans[random.randrange(len(spans))]
        behind = spans[-1].end_ms - again.start_ms + random.choice((0, 7, 20, 1000, 59_000, 130_000))
        spans.append(replace(again, run_start_ms=again.run_start_ms + behind, epoch=again.epoch + 1))
    preroll = batch.preroll[random.choice((0, 0, 1, len(batch.preroll))) :]
    changed = replace(batch, preroll=preroll, spans=tuple(spans))
    try:
        return batch_file(changed).data
    except BatchFormatError:
        return _contradicting(changed, data, random, raw)


def _other_span(span: Span, random: Random) -> Span:
    """Another place, another length, or other ends."""
    match random.randrange(6):
        case 0:
            return replace(span, first_sample=max(0, edits.number(span.first_sample, random)))
        case 1:
            return replace(span, run_start_ms=max(0, edits.number(span.run_start_ms, random)))
        case 2:
            packets = span.packets[random.randrange(len(span.packets) + 1) :]
            gone = sum(
                packet_facts(packet).samples for packet in span.packets[: len(span.packets) - len(packets)]
            )
            return replace(
                span, packets=packets, starts=False, lead=0, samples=max(0, span.samples - gone + span.lead)
            )
        case 3:
            lead = random.choice((0, 1, 119, 120, 312, 960, span.samples))
            return replace(
                span, lead=lead, samples=max(0, span.samples + span.lead - lead), starts=bool(lead)
            )
        case 4:
            trim = random.choice((0, 1, 47, 48, 959, 960, span.samples))
            return replace(span, trim=trim, samples=max(0, span.samples + span.trim - trim))
        case _:
            return replace(span, first_offset=max(0, edits.number(span.first_offset, random)))


def _contradicting(batch: Batch, data: bytes, random: Random, raw: Raw) -> bytes:
    try:
        stream = read_ogg_opus(data)
        facts = BatchFacts(
            batch.conversation_id, batch.source, batch.sample_rate, batch.channels, stream.head.pre_skip, batch.spans,
            tuple((0 if number else len(batch.preroll), len(span.packets)) for number, span in enumerate(batch.spans)),
            None,
        )  # fmt: skip
        writer = OggOpusWriter(*head_and_tags(facts), 1)
        pages = [writer.start()]
        pages += [writer.packet(packet, packet_facts(packet).samples) for packet in stream.packets]
        return b"".join([*pages, writer.finish()])
    except CodecError:
        return ogg_by_hand.mutate(data, random, raw)


TARGET = Target(check, mutate, max_bytes=12_288, words=(b"TAPEDECK_", b"OggS", b"\xf8\xff\xfe"))
