"""`audiostore.facts.batch_facts`: what the comments of a batch say, and what the metadata of its object says."""

from random import Random

from audiocodec.errors import OggError
from audiocodec.ogg import OpusHead, OpusTags
from audiostore.errors import BatchFormatError
from audiostore.facts import BatchFacts, batch_facts, head_and_tags, metadata
from audiostore.layout import MAX_RUNS
from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw, Target, demand


def check(data: bytes) -> int | None:
    """One `NAME=value` a line, as comments and as metadata. Taken: written and read again the same, and no time runs backwards."""
    pairs = [line.partition("=")[::2] for line in data.decode("utf-8", "replace").split("\n")]
    sizes = [size for size in (_comments(pairs), _metadata(pairs)) if size is not None]
    return max(sizes) if sizes else None


def _comments(pairs: list[tuple[str, str]]) -> int | None:
    values = dict(pairs)
    try:
        head = OpusHead(
            *(int(values.get(name, "0")[:30]) for name in ("channels", "pre-skip", "sample-rate"))
        )
        facts = batch_facts((head, OpusTags("tapedeck", pairs)))
    except (ValueError, OggError):
        return None
    except BatchFormatError as error:
        demand(str(error).startswith("tags"), f"the error names no structure: {error}")
        return None
    demand(batch_facts(head_and_tags(facts)) == facts, "written and read again they are other facts")
    return _judged(facts)


def _metadata(pairs: list[tuple[str, str]]) -> int | None:
    texts = {f"tapedeck-{name.lower().removeprefix('tapedeck_')}": value for name, value in pairs}
    try:
        facts = batch_facts(texts)
    except BatchFormatError as error:
        demand(str(error).startswith("metadata"), f"the error names no structure: {error}")
        return None
    demand(
        batch_facts(metadata(facts, b"") | {"tapedeck-sha256": texts.get("tapedeck-sha256", "0" * 64)})
        == (facts if facts.sha256 else batch_facts(texts | {"tapedeck-sha256": "0" * 64})),
        "written and read again they are other facts",
    )
    return _judged(facts)


def _judged(facts: BatchFacts) -> int:
    demand(0 < len(facts.spans) <= MAX_RUNS, f"{len(facts.spans)} runs")
    demand(facts.end_ms - facts.start_ms <= 120_000, "longer than any batch")
    ends = [facts.spans[0].start_48k, *(span.end_48k for span in facts.spans)]
    demand(
        all(end <= span.start_48k for end, span in zip(ends, facts.spans, strict=False)), "runs out of order"
    )
    for span in facts.spans:
        demand(span.samples >= 0 and span.end_offset >= span.first_offset, "a run that ends before it begins")
    return len(facts.conversation_id) + len(facts.source) + 16 * len(facts.spans)


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """A number in one of the lines changed, or a line left out or doubled."""
    lines = data.decode("utf-8", "replace").split("\n")
    if random.randrange(6) == 0:
        return "\n".join(edits.items(lines, random)).encode()
    at = random.randrange(len(lines))
    name, equals, value = lines[at].partition("=")
    lines[at] = name + equals + edits.numbers_in(value, random)
    return "\n".join(lines).encode("utf-8", "replace")


TARGET = Target(
    check,
    mutate,
    growth=4,
    words=(b"TAPEDECK_RUNS=", b"TAPEDECK_SAMPLES=", b"TAPEDECK_PACKETS=", b";", b"sha256="),
)
