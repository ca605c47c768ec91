"""Broken twins of a batch file: the same file with one thing wrong, and what a reader must say of it.

Every twin but those about pages and checksums has right checksums: what is wrong is inside. `twins(data)` takes any batch file with
at least two runs, the first of which goes on from an earlier batch.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from audiocodec.ogg.page import CONTINUED, FIRST, LAST
from tapedeck_testing.ogg_sheets import joined, sheets


@dataclass(frozen=True, slots=True)
class Twin:
    """One broken file."""

    name: str
    data: bytes
    error: str
    """What the reader's error says: a regular expression."""
    head: bool = True
    """Whether the first 8 KiB alone look right."""


def with_comment(data: bytes, name: str, change: Callable[[str], str | None]) -> bytes:
    """The file with the value of one comment changed, or without it (None)."""
    pages = sheets(data)
    pages[1] = pages[1].with_packets([_with_comment(pages[1].packets[0], name, change)])
    return joined(pages)


def twins(data: bytes) -> Iterator[Twin]:
    """Every way of being broken."""
    yield from _of_bytes(data)
    yield from _of_pages(data)
    yield from _of_the_head(data)
    yield from _of_packets(data)
    yield from _of_comments(data)


def _of_bytes(data: bytes) -> Iterator[Twin]:
    pages = sheets(data)
    at = 0
    for number, page in enumerate(pages):
        size = len(page.encode())
        if at:
            yield Twin(f"ends before page {number}", data[:at], "header cut short|ends before", number > 1)
        yield Twin(f"ends within page {number}", data[: at + size // 2], "cut short", number > 1)
        yield Twin(
            f"ends within the header of page {number}", data[: at + 20], "header cut short", number > 1
        )
        for place in (at + 22, at + size - 1):
            flipped = data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :]
            yield Twin(f"bit of page {number} at byte {place}", flipped, "wrong checksum", number > 1)
        at += size
    yield Twin("empty", b"", "header cut short", head=False)
    yield Twin("begins with something else", b"\0" + data, "no OggS there", head=False)
    yield Twin("rubbish after the end", data + b"OggS", "bytes after its end")
    yield Twin("zeros after the end", data + bytes(512), "bytes after its end")
    yield Twin("twice", data + data, "bytes after its end")
    yield Twin(
        "Ogg of another version", data[:4] + b"\1" + data[5:], "version 1, only 0 is known", head=False
    )


def _of_pages(data: bytes) -> Iterator[Twin]:
    pages = sheets(data)
    for number in range(len(pages)):
        error = "first-page flag missing|number \\d+ instead of|ends before|header cut short|OpusTags"
        yield Twin(f"without page {number}", joined(pages[:number] + pages[number + 1 :]), error, number > 1)
    yield Twin("page 3 twice", joined([*pages[:4], *pages[3:]]), "number 3 instead of 4")
    yield Twin(
        "pages 2 and 3 exchanged",
        joined([*pages[:2], pages[3], pages[2], *pages[4:]]),
        "number 3 instead of 2",
    )
    other = [replace(page, serial=page.serial ^ 1) for page in pages]
    mixed = [pages[0], other[0], *pages[1:]]
    yield Twin("a second stream within", joined(mixed), "first-page flag in mid-stream", head=False)
    yield Twin("a second stream behind", joined([*pages, *other]), "bytes after its end")
    yield Twin("a page of another stream", joined([*pages[:3], other[3], *pages[4:]]), "serial 0x")
    yield Twin(
        "an end in the middle",
        joined([*pages[:3], replace(pages[3], flags=LAST), *pages[4:]]),
        "bytes after its end",
    )
    yield Twin(
        "no end", joined([*pages[:-1], replace(pages[-1], flags=0)]), "header cut short|granule position"
    )
    yield Twin(
        "a beginning in the middle",
        joined([*pages[:3], replace(pages[3], flags=FIRST), *pages[4:]]),
        "in mid-stream",
    )
    continued = replace(pages[3], flags=CONTINUED)
    yield Twin(
        "a continued packet that never began",
        joined([*pages[:3], continued, *pages[4:]]),
        "continued flag without need",
    )
    for number in range(2, len(pages)):
        for by in (-1, 1):
            moved = replace(pages[number], granule=pages[number].granule + by)
            if number == len(pages) - 1:
                error = f"end {pages[number].granule + by}, where the tags want|granule position"
            else:
                error = f"granule position {pages[number].granule + by}, the packets make"
            yield Twin(
                f"granule position of page {number} off by {by}",
                joined([*pages[:number], moved, *pages[number + 1 :]]),
                error,
            )
    early = replace(pages[-1], granule=pages[-1].granule - 48_000)
    yield Twin("trims more than a packet", joined([*pages[:-1], early]), "granule position")
    yield Twin(
        "granule position of the tags",
        joined([pages[0], replace(pages[1], granule=1), *pages[2:]]),
        "on a header page",
        head=False,
    )


def _of_the_head(data: bytes) -> Iterator[Twin]:
    pages = sheets(data)
    head = pages[0].packets[0]
    (pre_skip,) = struct.unpack_from("<H", head, 10)

    def with_head(packet: bytes) -> bytes:
        return joined([pages[0].with_packets([packet]), *pages[1:]])

    def patched(at: int, value: bytes) -> bytes:
        return with_head(head[:at] + value + head[at + len(value) :])

    yield Twin(
        "pre-skip too small", patched(10, struct.pack("<H", pre_skip - 1)), "pre-skip \\d+ .*the tags want"
    )
    yield Twin(
        "pre-skip too large", patched(10, struct.pack("<H", pre_skip + 1)), "pre-skip \\d+ .*the tags want"
    )
    yield Twin("no pre-skip", patched(10, b"\0\0"), "pre-skip 0 .*the tags want")
    yield Twin("head of another version", patched(8, b"\2"), "OpusHead: version 2", head=False)
    yield Twin("no channel", patched(9, b"\0"), "OpusHead: 0 channels", head=False)
    yield Twin("three channels", patched(9, b"\3"), "OpusHead: 3 channels", head=False)
    yield Twin("other channels", patched(9, bytes([3 - head[9]])), "around the runs")
    yield Twin("a gain", patched(16, b"\1\0"), "OpusHead: gain 1", head=False)
    yield Twin("a mapping family", patched(18, b"\1"), "mapping family 1", head=False)
    yield Twin("head too short", with_head(head[:-1]), "OpusHead: 18 bytes", head=False)
    yield Twin("head of another codec", patched(0, b"Speex   "), "OpusHead: the first packet", head=False)
    yield Twin(
        "two packets on the first page",
        joined([pages[0].with_packets([head, head]), *pages[1:]]),
        "OpusHead and nothing else",
        head=False,
    )
    yield Twin(
        "tags are audio",
        joined([pages[0], pages[1].with_packets(pages[2].packets[:1]), *pages[2:]]),
        "OpusTags: the second packet",
        head=False,
    )
    tags = pages[1].packets[0]
    yield Twin(
        "tags cut short",
        joined([pages[0], pages[1].with_packets([tags[:-1]]), *pages[2:]]),
        "cut short",
        head=False,
    )


def _of_packets(data: bytes) -> Iterator[Twin]:
    pages = sheets(data)
    audio = pages[2].packets

    def with_audio(packets: list[bytes]) -> bytes:
        return joined([*pages[:2], pages[2].with_packets(packets), *pages[3:]])

    yield Twin("an empty packet", with_audio([b"", *audio[1:]]), "packet 0: Opus packet of 0 bytes")
    yield Twin(
        "a packet that is none",
        with_audio([audio[0], b"\xff\xff\xff", *audio[2:]]),
        "packet 1: Opus packet of 3 bytes, TOC 0xff",
    )
    yield Twin("a packet less", with_audio(audio[1:]), "granule position \\d+, the packets make")
    yield Twin("a packet more", with_audio([*audio, audio[-1]]), "granule position \\d+, the packets make")
    yield Twin(
        "a packet of another length",
        with_audio([bytes([audio[0][0] ^ 0x18]) + audio[0][1:], *audio[1:]]),
        "granule position \\d+, the packets make",
    )
    # As long as the audio is there, which packet it is only the checksum of the whole can tell.
    silence = next(
        (number, page)
        for number, page in enumerate(pages[2:], 2)
        if b"\xf8\xff\xfe" in page.packets or b"\xfc\xff\xfe" in page.packets
    )
    number, page = silence
    loud = [one[:1] + b"\x12\x34" if one[1:] == b"\xff\xfe" else one for one in page.packets]
    yield Twin(
        "sound in the gap",
        joined([*pages[:number], page.with_packets(loud), *pages[number + 1 :]]),
        "something else than the silence",
    )


def _of_comments(data: bytes) -> Iterator[Twin]:
    def lie(
        name: str, what: str, change: Callable[[str], str | None], error: str, *, head: bool = False
    ) -> Twin:
        return Twin(f"{name}: {what}", with_comment(data, f"TAPEDECK_{name}", change), error, head)

    for name in ("VERSION", "CONVERSATION", "START", "RUNS", "SAMPLES", "PACKETS", "SOURCE"):
        error = {"START": "TAPEDECK_START is not", "VERSION": "version 'missing'"}.get(
            name, f"{name.lower()} is missing"
        )
        yield lie(name, "missing", lambda _: None, error)
        yield lie(name, "empty", lambda _: "", "START is not|version ''|is malformed|is missing or malformed")
    yield lie("VERSION", "a later one", lambda _: "2", "version '2'")
    yield lie("CONVERSATION", "a space", lambda _: "a b", "conversation is malformed")
    yield lie("SOURCE", "a path", lambda _: "../pcm", "source is malformed")
    yield lie(
        "START", "a millisecond later", lambda old: old[:-1] + str((int(old[-1]) + 1) % 10), "START is not"
    )

    def number(at: int, by: int) -> Callable[[str], str]:
        """Another value for one number of the first run."""

        def change(old: str) -> str:
            first, *others = old.split(";")
            parts = _numbers(first)
            parts[at] = str(int(parts[at]) + by)
            return ";".join(["".join(parts), *others])

        return change

    # <epoch>:<first offset>-<end offset>@<start ms>+<duration ms>
    yield lie("RUNS", "ends before it begins", _backwards, "run 0 and its samples contradict")
    yield lie("RUNS", "start off by one", number(6, 1), "run 0 and its samples contradict")
    yield lie("RUNS", "duration off by one", number(8, 1), "run 0 and its samples contradict")
    yield lie("RUNS", "one less", lambda old: old.partition(";")[0], "do not agree")
    yield lie("RUNS", "twenty-five", lambda old: ";".join([old.partition(";")[0]] * 25), "more than 24 runs")
    yield lie("RUNS", "a number of 19 digits", lambda old: "9" * 19 + old, "runs is missing or malformed")
    # <run start ms>/<first sample>+<samples>
    yield lie("SAMPLES", "run start off by one", number(0, 1), "run 0 and its samples contradict")
    yield lie(
        "SAMPLES", "first sample off by a millisecond", number(2, 48), "run 0 and its samples contradict"
    )
    yield lie("SAMPLES", "a millisecond more", number(4, 48), "run 0 and its samples contradict")
    yield lie(
        "SAMPLES",
        "one more than its packets",
        _one_sample_more,
        "run 0 has packets of \\d+ samples, but says",
        head=True,
    )
    # <before>/<own>/<lead>/<trim>/<starts>
    yield lie(
        "PACKETS", "one of pre-roll is the run's", _moved(0, 2), "run 0 has packets of|pre-skip", head=True
    )
    yield lie(
        "PACKETS", "one of the run's is pre-roll", _moved(2, 0), "run 0 has packets of|pre-skip", head=True
    )
    yield lie("PACKETS", "one of the run's is silence", _to_the_gap, "run 0 has packets of", head=True)
    yield lie("PACKETS", "one of the gap's is a run's", _from_the_gap, "run \\d has packets of", head=True)
    yield lie("PACKETS", "another lead", number(4, 120), "run 0 has packets of", head=True)
    yield lie("PACKETS", "another trim", number(6, 120), "run 0 has packets of|cannot share", head=True)
    yield lie(
        "PACKETS",
        "the encoder began here",
        lambda old: old.replace("/0;", "/1;", 1),
        "pre-roll before a packet with which",
        head=True,
    )
    yield lie(
        "PACKETS",
        "neither began nor not",
        lambda old: old.replace("/0;", "/2;", 1),
        "packets is missing or malformed",
    )
    yield lie("PACKETS", "a million packets", number(2, 10**6), "run \\d has packets of", head=True)


def _backwards(old: str) -> str:
    """The first run's offsets exchanged."""
    first, *others = old.split(";")
    parts = _numbers(first)
    parts[2], parts[4] = parts[4], parts[2]
    return ";".join(["".join(parts), *others])


def _one_sample_more(old: str) -> str:
    """A sample that changes no millisecond."""
    first, *others = old.split(";")
    parts = _numbers(first)
    end = int(parts[2]) + int(parts[4])
    parts[4] = str(int(parts[4]) + (1 if (end + 1) % 48 else -1))
    return ";".join(["".join(parts), *others])


def _moved(here: int, there: int) -> Callable[[str], str]:
    """A packet less in one count of the first run, one more in another."""

    def change(old: str) -> str:
        first, *others = old.split(";")
        parts = _numbers(first)
        parts[here] = str(int(parts[here]) - 1)
        parts[there] = str(int(parts[there]) + 1)
        return ";".join(["".join(parts), *others])

    return change


def _to_the_gap(old: str) -> str:
    return _between_runs(old, -1)


def _from_the_gap(old: str) -> str:
    return _between_runs(old, 1)


def _between_runs(old: str, by: int) -> str:
    first, second, *others = old.split(";")
    one, other = _numbers(first), _numbers(second)
    one[2] = str(int(one[2]) + by)
    other[0] = str(int(other[0]) - by)
    return ";".join(["".join(one), "".join(other), *others])


def _numbers(text: str) -> list[str]:
    """Numbers, and what stands between them, in turn."""
    parts = [""]
    for character in text:
        if parts[-1] and character.isdigit() != parts[-1][-1].isdigit():
            parts.append("")
        parts[-1] += character
    return parts


def _with_comment(tags: bytes, name: str, change: Callable[[str], str | None]) -> bytes:
    vendor_end = 12 + int.from_bytes(tags[8:12], "little")
    at = vendor_end + 4
    comments = []
    while at < len(tags):
        size = int.from_bytes(tags[at : at + 4], "little")
        comments.append(tags[at + 4 : at + 4 + size].decode())
        at += 4 + size
    changed = []
    for comment in comments:
        key, _, value = comment.partition("=")
        new = change(value) if key == name else value
        if new is not None:
            changed.append(f"{key}={new}".encode())
    assert [one.decode() for one in changed] != comments, f"{name} is as it was"
    packed = b"".join(len(one).to_bytes(4, "little") + one for one in changed)
    return tags[:vendor_end] + len(changed).to_bytes(4, "little") + packed
