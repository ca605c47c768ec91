"""What a batch says of itself in text: comments in OpusTags, and object metadata. Text in, facts out, and back.

Owns the names and the grammar of both (version 1). They say the same; metadata spares opening the object, comments are there on every
backend and survive every copy. Times and samples are checked against each other: a contradiction is an error, never a guess.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from audiocodec.ogg import OpusHead, OpusTags, Paged
from audiocodec.span import Span
from audiostore.errors import BatchFormatError
from audiostore.layout import MAX_FILE_SAMPLES, MAX_RUNS, fill
from audiostore.names import timestamp

VERSION = "1"
VENDOR = "tapedeck"
KEY = "tapedeck-key"
"""In the metadata of a sealed object: the id of the key that it was sealed with, as its header says. The two differ where one of them is damaged."""
HEAD_BYTES = 8192
"""So many first bytes of any batch hold its OpusHead and OpusTags, with all the runs it may have."""

_NUMBER = r"(0|[1-9][0-9]{0,17})"
_RUN = re.compile(rf"{_NUMBER}:{_NUMBER}-{_NUMBER}@{_NUMBER}\+{_NUMBER}", re.ASCII)
_SAMPLES = re.compile(rf"{_NUMBER}/{_NUMBER}\+{_NUMBER}", re.ASCII)
_PACKETS = re.compile(rf"{_NUMBER}/{_NUMBER}/{_NUMBER}/{_NUMBER}/([01])", re.ASCII)
_PAGES = re.compile(rf"{_NUMBER}/{_NUMBER}", re.ASCII)
_SOURCE = re.compile(r"[a-z0-9_]{1,32}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ONE_NUMBER = re.compile(_NUMBER, re.ASCII)
_CONVERSATION = re.compile(r"[!-~]{1,128}", re.ASCII)
_CHANNELS = re.compile(r"[12]", re.ASCII)


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """All of a batch but its packets."""

    conversation_id: str
    """The conversation that it was recorded into; a merge moves the object and leaves this."""
    source: str
    """Codec of what the device sent: `pcm16`, `opus`, …"""
    sample_rate: int
    """Hz, of the recording."""
    channels: int
    pre_skip: int
    """Samples at 48 kHz, as in OpusHead."""
    spans: tuple[Span, ...]
    """With `packets` empty; everything else is exact."""
    packets: tuple[tuple[int, int], ...]
    """For each span: packets before it in the file (pre-roll; for later ones silence), and packets of its own."""
    sha256: str | None
    """Hex, of the plain file. Only metadata can know it: None from tags."""
    pages: tuple[Paged, ...] | None = field(default=None, compare=False)
    """For each span: what its packets take as Ogg pages of their own. None from tags, and where older writers left it out."""

    @property
    def start_ms(self) -> int:
        """First played sample, unix ms, rounded down."""
        return self.spans[0].start_ms

    @property
    def end_ms(self) -> int:
        """The moment after the last played sample, unix ms, rounded down."""
        return self.spans[-1].end_ms

    @property
    def samples(self) -> int:
        """Recorded samples at 48 kHz, gaps left out."""
        return sum(span.samples for span in self.spans)


def head_and_tags(facts: BatchFacts) -> tuple[OpusHead, OpusTags]:
    """The two headers of the batch's file."""
    comments = [
        ("TAPEDECK_VERSION", VERSION),
        ("TAPEDECK_CONVERSATION", facts.conversation_id),
        ("TAPEDECK_START", timestamp(facts.start_ms)),
        ("TAPEDECK_RUNS", _runs(facts)),
        ("TAPEDECK_SAMPLES", _samples(facts)),
        ("TAPEDECK_PACKETS", _packets(facts)),
        ("TAPEDECK_SOURCE", facts.source),
    ]
    return OpusHead(facts.channels, facts.pre_skip, facts.sample_rate), OpusTags(VENDOR, comments)


def metadata(facts: BatchFacts, data: bytes) -> dict[str, str]:
    """The metadata of the object that holds `data`, the plain file."""
    entries = {
        "tapedeck-version": VERSION,
        "tapedeck-conversation": facts.conversation_id,
        "tapedeck-runs": _runs(facts),
        "tapedeck-samples": _samples(facts),
        "tapedeck-packets": _packets(facts),
        "tapedeck-source": facts.source,
        "tapedeck-sample-rate": str(facts.sample_rate),
        "tapedeck-channels": str(facts.channels),
        "tapedeck-pre-skip": str(facts.pre_skip),
        "tapedeck-duration-ms": str(facts.end_ms - facts.start_ms),
        "tapedeck-sha256": hashlib.sha256(data).hexdigest(),
    }
    if facts.pages is not None:
        entries["tapedeck-pages"] = ";".join(f"{each.pages}/{each.bytes}" for each in facts.pages)
    return entries


def batch_facts(source: Mapping[str, str] | tuple[OpusHead, OpusTags]) -> BatchFacts:
    """Facts from an object's metadata, or from what `audiocodec.ogg.read_ogg_headers` gives of its first HEAD_BYTES.

    Raises BatchFormatError: fields that are missing, malformed or contradict each other, or another version.
    """
    if isinstance(source, Mapping):
        facts = _facts(source, "metadata")
        if (
            int(_field(source, "tapedeck-duration-ms", _ONE_NUMBER, "metadata"))
            != facts.end_ms - facts.start_ms
        ):
            raise BatchFormatError("metadata: tapedeck-duration-ms is not what the runs last")
        return facts
    head, tags = source
    comments = {name.upper(): value for name, value in tags.comments}
    if len(comments) != len(tags.comments):
        raise BatchFormatError("tags: a comment is there twice")
    # Called as in metadata.
    fields = {
        f"tapedeck-{name.removeprefix('TAPEDECK_').lower()}": value
        for name, value in comments.items()
        if name.startswith("TAPEDECK_")
    }
    fields |= {
        "tapedeck-sample-rate": str(head.input_sample_rate),
        "tapedeck-channels": str(head.channels),
        "tapedeck-pre-skip": str(head.pre_skip),
    }
    for only_metadata in ("tapedeck-sha256", "tapedeck-pages"):
        fields.pop(only_metadata, None)
    facts = _facts(fields, "tags")
    if fields.get("tapedeck-start") != timestamp(facts.start_ms):
        raise BatchFormatError("tags: TAPEDECK_START is not where the first run starts")
    return facts


def _facts(fields: Mapping[str, str], where: str) -> BatchFacts:
    if fields.get("tapedeck-version") != VERSION:
        raise BatchFormatError(
            f"{where}: version {fields.get('tapedeck-version', 'missing')!r:.40}; {VERSION} is the one known"
        )
    conversation = _field(fields, "tapedeck-conversation", _CONVERSATION, where)
    runs = _items(fields, "tapedeck-runs", _RUN, where)
    positions = _items(fields, "tapedeck-samples", _SAMPLES, where)
    counts = _items(fields, "tapedeck-packets", _PACKETS, where)
    if not len(runs) == len(positions) == len(counts):
        raise BatchFormatError(
            f"{where}: {len(runs)} runs, {len(positions)} samples and {len(counts)} packets do not agree"
        )
    pages = _items(fields, "tapedeck-pages", _PAGES, where) if "tapedeck-pages" in fields else None
    if pages is not None and len(pages) != len(runs):
        raise BatchFormatError(f"{where}: {len(runs)} runs and {len(pages)} pages do not agree")
    spans: list[Span] = []
    for run, position, count in zip(runs, positions, counts, strict=True):
        epoch, first_offset, end_offset, start_ms, duration_ms = run
        run_start_ms, first_sample, samples = position
        _before, _packets, lead, trim, starts = count
        span = Span(
            conversation,
            epoch,
            first_offset,
            end_offset,
            run_start_ms,
            first_sample,
            samples,
            lead,
            trim,
            bool(starts),
            (),
        )
        start_48k = run_start_ms * 48 + first_sample
        ends_ms = (start_48k + samples) // 48
        if start_48k // 48 != start_ms or ends_ms != start_ms + duration_ms or end_offset < first_offset:
            raise BatchFormatError(f"{where}: run {len(spans)} and its samples contradict each other")
        if spans and fill(spans[-1], span) is None:
            raise BatchFormatError(f"{where}: run {len(spans)} cannot follow the one before it in a file")
        spans.append(span)
    if spans[-1].end_48k - spans[0].start_48k > MAX_FILE_SAMPLES:
        raise BatchFormatError(f"{where}: longer than {MAX_FILE_SAMPLES // 48} ms")
    sha256 = fields.get("tapedeck-sha256")
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise BatchFormatError(f"{where}: sha256 is none")
    return BatchFacts(
        conversation_id=conversation,
        source=_field(fields, "tapedeck-source", _SOURCE, where),
        sample_rate=int(_field(fields, "tapedeck-sample-rate", _ONE_NUMBER, where)),
        channels=int(_field(fields, "tapedeck-channels", _CHANNELS, where)),
        pre_skip=int(_field(fields, "tapedeck-pre-skip", _ONE_NUMBER, where)),
        spans=tuple(spans),
        packets=tuple((count[0], count[1]) for count in counts),
        sha256=sha256,
        pages=None if pages is None else tuple(Paged(*each) for each in pages),
    )


def _field(fields: Mapping[str, str], name: str, form: re.Pattern[str], where: str) -> str:
    value = fields.get(name)
    if value is None:
        raise BatchFormatError(f"{where}: {_told_as(name)} is missing")
    if not form.fullmatch(value):
        raise BatchFormatError(f"{where}: {_told_as(name)} is malformed: {value[:60]!r}")
    return value


def _items(fields: Mapping[str, str], name: str, form: re.Pattern[str], where: str) -> list[tuple[int, ...]]:
    """One tuple of numbers a run."""
    told = fields.get(name, "")
    if (only := form.fullmatch(told)) is not None:
        return [tuple(map(int, only.groups()))]
    texts = told.split(";", MAX_RUNS)
    if len(texts) > MAX_RUNS:
        raise BatchFormatError(f"{where}: {_told_as(name)} has more than {MAX_RUNS} runs")
    items = []
    for text in texts:
        match = form.fullmatch(text)
        if match is None:
            raise BatchFormatError(f"{where}: {_told_as(name)} is missing or malformed: {text[:60]!r}")
        items.append(tuple(map(int, match.groups())))
    return items


def _told_as(name: str) -> str:
    """A field as errors call it, for it has two names."""
    return name.removeprefix("tapedeck-")


def _runs(facts: BatchFacts) -> str:
    return ";".join(
        f"{span.epoch}:{span.first_offset}-{span.end_offset}@{span.start_ms}+{span.end_ms - span.start_ms}"
        for span in facts.spans
    )


def _samples(facts: BatchFacts) -> str:
    return ";".join(f"{span.run_start_ms}/{span.first_sample}+{span.samples}" for span in facts.spans)


def _packets(facts: BatchFacts) -> str:
    return ";".join(
        f"{before}/{own}/{span.lead}/{span.trim}/{int(span.starts)}"
        for span, (before, own) in zip(facts.spans, facts.packets, strict=True)
    )
