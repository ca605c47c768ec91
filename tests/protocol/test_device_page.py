"""docs/device-clients.md: its bytes are those that go over the line."""

import asyncio
import json
import re

from tapedeck_testing.protocol.asyncapi import document
from tapedeck_testing.protocol.raw_socket import RawSocket, masked
from tapedeck_testing.protocol.rows import ROOT

PAGE = (ROOT / "docs/device-clients.md").read_text(encoding="utf-8")
MASK = bytes.fromhex("37fa213d")


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def frames(block):
    """The lines of a dialogue: who, and the bytes."""
    for line in block.splitlines():
        if line[0] in "<>":
            head, brace, text = line[2:].partition("{")
            yield line[0], bytes.fromhex(head) + (brace + text).encode()


def unmasked(frame):
    """First byte and payload of a client's frame."""
    assert frame[2:6] == MASK
    payload = bytes(byte ^ MASK[n % 4] for n, byte in enumerate(frame[6:]))
    assert masked(frame[0], payload, MASK) == frame
    return frame[0], payload


def test_frames_say_what_stands_below_them():
    said = 0
    for block in blocks("hex"):
        lines = block.splitlines()
        for line, below in zip(lines, [*lines[1:], ""], strict=True):
            if not line.startswith("> "):
                continue
            first, payload = unmasked(bytes.fromhex(line[2:]))
            if first == 0x81:
                assert below.strip() == payload.decode()
                document().check(
                    json.loads(payload),
                    document().at("components", "messages", json.loads(payload)["type"], "payload"),
                )
                said += 1
            elif first == 0x82:
                assert below.strip().split(",")[0] == payload.hex(" ")
                said += 1
    assert said == 5


def test_servers_frames_are_as_long_as_they_say():
    for block in blocks("hex"):
        for who, frame in frames(block):
            assert who == ">" or len(frame) == 2 + frame[1]


async def test_the_session_goes_over_the_line_as_it_stands(listen):
    """upgrade, ready, close: request and answer, and every frame in its order."""
    request, answer = (block.replace("\n", "\r\n") for block in blocks("http"))
    async with RawSocket.dial(listen) as raw:
        raw.writer.write(request.replace("<token>", listen.token()).encode())
        head = (await raw.head()).decode()
        assert head.split("\r\n")[0] == answer.split("\r\n")[0]
        wanted = {line.lower() for line in answer.split("\r\n") if line}
        assert wanted <= {line.lower() for line in head.split("\r\n")}
        assert "extensions" not in head.lower()
        session = b"-"
        for who, frame in frames(blocks("hex")[0]):
            if who == ">":
                raw.writer.write(frame * (50 if frame[0] == 0x82 else 1))
                continue
            heard = b""
            while (
                heard != frame
            ):  # between these lines: `bad_mark`, for the page's mark is as old as the page
                async with asyncio.timeout(60):
                    first, payload = await raw.frame()
                if first == 0x81 and json.loads(payload)["type"] == "ready":
                    session = json.loads(payload)["session"].encode()
                heard = bytes([first, len(payload)]) + payload.replace(session, b"1732147200123")
        assert await raw.rest() == b""


def test_the_ping_and_its_pong():
    """ping: the pong brings back what the ping had."""
    (_, ping), (_, pong) = frames(blocks("hex")[1])
    assert (ping[0], pong[0]) == (0x89, 0x8A)
    assert unmasked(pong)[1] == ping[2:]


async def test_two_channels_as_they_stand(listen):
    """channels.two, offset.counts: each message moves the offset by 3."""
    near, far = (unmasked(frame)[1] for _, frame in frames(blocks("hex")[2]))
    client = await listen.record(*[near, far] * 50, channels=2, codec="opus", conversation_id="page-two")
    assert client.heard("ack")[-1]["offset"] == 300


def test_the_table_of_ram():
    rates = {"Opus, 24 kbit/s": 3_000, "PCM, 8 kHz 8 bit": 8_000, "PCM, 16 kHz 16 bit": 32_000}
    head, *rows = re.findall(r"^\| (?:RAM for the queue|\d+ [KM]iB) \|.*$", PAGE, re.MULTILINE)
    assert list(rates) == [cell.strip() for cell in head.split("|")[2:-1]]
    for row in rows:
        size, *cells = [cell.strip() for cell in row.split("|")[1:-1]]
        number, unit = size.split()
        for said, rate in zip(cells, rates.values(), strict=True):
            seconds = sum(int(n) * (60 if u == "min" else 1) for n, u in re.findall(r"(\d+) (min|s)", said))
            exact = int(number) * {"KiB": 1024, "MiB": 1024**2}[unit] / rate
            assert abs(seconds - exact) < (31 if seconds % 60 == 0 and seconds > 60 else 1), (
                size,
                said,
                exact,
            )


def test_what_the_page_says_of_limits():
    limits = document().at("x-limits")
    for said in (
        f"within {limits['ack_s']} s",
        f"Each {limits['keepalive_s']} s the server sends a ping",
        f"at least every {limits['silence_s']} s",
        f"for {limits['resumable_h']} hours",
        f"A mark {limits['mark_ahead_ms']} ms or less",
        f"it holds {limits['waiting_s']} s of audio",
    ):
        assert said in PAGE, said
    stops = [code for code, row in document().at("x-close-codes").items() if row["client"] == "stops"]
    assert ", ".join(stops) in PAGE
