import asyncio
import json
import math
import os

import pytest

from tapedeck import AudioFormat, ListenClient, ListenOptions
from tapedeck.errors import (
    DeletedError,
    NotAcceptedError,
    NotAllowedError,
    ReplacedError,
    UnauthorizedError,
    UnreachableError,
)

FAST = {"first_pause_s": 0.01, "longest_pause_s": 0.05}
SPEECH = os.urandom(64_000)


def pieces(audio, size=1000):
    return [audio[i : i + size] for i in range(0, len(audio), size)]


async def record(client, audio=SPEECH, size=1000):
    for piece in pieces(audio, size):
        await client.send(piece)


async def test_a_recording_is_sent_acked_stored_and_closed(listen_stand_in):
    async with ListenClient(listen_stand_in.url, "t1", options=ListenOptions(**FAST)) as client:
        await client.mark(1_732_147_200_123)
        await record(client)
        answer = await client.finalize()
        assert answer.stored
        assert client.progress.stored_bytes == len(SPEECH)
        assert await client.ready() == "made-0"
    assert client.progress.acked_bytes == len(SPEECH)
    assert listen_stand_in.total() == SPEECH
    (session,) = listen_stand_in.sessions.values()
    assert session.marks == [(0, 1_732_147_200_123)]
    assert session.over
    assert listen_stand_in.tokens == ["Bearer t1"]
    assert listen_stand_in.queries == [{"codec": "pcm16", "sample_rate": "16000", "channels": "1"}]


@pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 1013])
async def test_after_each_code_that_is_no_fault_of_ours_it_resumes_from_the_offset(listen_stand_in, code):
    listen_stand_in.cuts = [(20_000, code, None), (40_000, code, None)]
    listen_stand_in.ack_lag = 700
    async with ListenClient(listen_stand_in.url, "t", options=ListenOptions(**FAST)) as client:
        await record(client)
    assert listen_stand_in.total() == SPEECH
    assert len(listen_stand_in.sessions) == 1
    assert client.progress.resumed == 2
    assert [q.get("session") for q in listen_stand_in.queries] == [None, "1732147200000", "1732147200000"]


@pytest.mark.parametrize("forgets", [500, 1234, 3001])
async def test_two_channels_resume_in_the_middle_of_a_message_and_stay_apart(listen_stand_in, forgets):
    listen_stand_in.cuts = [(n, 1006, None) for n in (10_000, 30_000, 50_000)]
    listen_stand_in.ack_lag = listen_stand_in.forgets = forgets
    near, far = SPEECH[:32_000], SPEECH[32_000:]
    audio = AudioFormat("pcm16", 44100, channels=2)
    async with ListenClient(listen_stand_in.url, "t", audio, ListenOptions(**FAST)) as client:
        for one, other in zip(pieces(near, 1001), pieces(far, 1001), strict=True):
            await client.send(one, 1)
            await client.send(other, 2)
    (session,) = listen_stand_in.sessions.values()
    assert client.progress.resumed == 3
    assert (session.channel(1), session.channel(2)) == (near, far)
    assert client.progress.acked_bytes == len(SPEECH)  # the channel byte never counts


async def test_packets_of_two_channels_are_sent_again_whole(listen_stand_in):
    listen_stand_in.cuts = [(n, 1006, None) for n in (700, 2100, 3500)]
    listen_stand_in.ack_lag = listen_stand_in.forgets = 90
    packets = [bytes([0x48, n % 256]) * 15 for n in range(150)]
    audio = AudioFormat("opus", 16000, channels=2, pre_skip=312)
    async with ListenClient(listen_stand_in.url, "t", audio, ListenOptions(**FAST)) as client:
        for number, packet in enumerate(packets):
            await client.send(packet, 1 + number % 2)
    (session,) = listen_stand_in.sessions.values()
    assert session.parts == [(1 + number % 2, packet) for number, packet in enumerate(packets)]


async def test_packets_come_whole_and_once_in_order(listen_stand_in):
    listen_stand_in.cuts = [(n, 1006, None) for n in range(700, 6000, 700)]
    packets = [bytes([0x48, n % 256]) * (20 + n % 7) for n in range(150)]
    audio = AudioFormat("opus", 16000, pre_skip=312)
    async with ListenClient(listen_stand_in.url, "t", audio, ListenOptions(**FAST)) as client:
        for packet in packets:
            await client.send(packet)
    (session,) = listen_stand_in.sessions.values()
    assert session.messages == packets
    assert listen_stand_in.queries[0]["pre_skip"] == "312"


async def test_marks_after_the_resume_offset_are_sent_again(listen_stand_in, within):
    listen_stand_in.cuts = [(3000, 1006, None)]
    listen_stand_in.mute_ready = 0
    async with ListenClient(listen_stand_in.url, "t", options=ListenOptions(**FAST)) as client:
        for n in range(10):
            await client.mark(1000 + n)
            await client.send(bytes([n]) * 500)
    (session,) = listen_stand_in.sessions.values()
    assert sorted(set(session.marks)) == [(500 * n, 1000 + n) for n in range(10)]
    assert len(session.audio) == 5000


async def test_a_session_that_is_over_goes_on_as_a_fresh_one_from_the_previous_offset_with_a_mark(
    listen_stand_in, within
):
    listen_stand_in.ack_lag = 600
    async with ListenClient(listen_stand_in.url, "t", options=ListenOptions(**FAST)) as client:
        await client.mark(1_000_000)
        await record(client, SPEECH[:10_000])
        await within(lambda: client.progress.acked_bytes == 9_400)
        (first,) = listen_stand_in.sessions.values()
        first.over = True
        listen_stand_in.cuts = [(11_000, 1012, None)]
        await record(client, SPEECH[10_000:])
    first, second = listen_stand_in.sessions.values()
    assert client.progress.begun_anew == 1
    assert bytes(first.audio) + bytes(second.audio) == SPEECH
    assert second.marks == [(0, 1_000_000 + math.ceil(len(first.audio) / 32))]


async def test_an_unknown_session_gets_only_what_was_never_acked(listen_stand_in, within):
    listen_stand_in.ack_lag = 600
    async with ListenClient(listen_stand_in.url, "t", options=ListenOptions(**FAST)) as client:
        await client.mark(5_000_000)
        await record(client, SPEECH[:10_000])
        await within(lambda: client.progress.acked_bytes == 9_400)
        listen_stand_in.unknown_sessions = True
        listen_stand_in.cuts = [(11_000, 1006, None)]
        await client.send(SPEECH[10_000:11_000])
        await within(lambda: len(listen_stand_in.sessions) == 2)
    second = list(listen_stand_in.sessions.values())[1]
    assert SPEECH[:11_000].endswith(bytes(second.audio))
    assert second.marks == [(0, 5_000_000 + math.ceil((11_000 - len(second.audio)) / 32))]
    assert 600 <= len(second.audio) <= 1600


async def test_redis_that_lost_acked_bytes_gets_them_again_from_a_client_that_keeps_until_stored(
    listen_stand_in, within
):
    options = ListenOptions(keep="stored", **FAST)
    async with ListenClient(listen_stand_in.url, "t", options=options) as client:
        await record(client, SPEECH[:32_000])
        await within(lambda: client.progress.acked_bytes == 32_000)
        (session,) = listen_stand_in.sessions.values()
        del session.audio[5_000:]  # the failover
        listen_stand_in.cuts = [(5_000, 1006, None)]
        await record(client, SPEECH[32_000:])
        await within(lambda: client.progress.reconnects > 0)
        await client.finalize()
    # The piece that cut the socket went in after the hole, as far as this stand-in knows; all before it is whole.
    assert listen_stand_in.total()[:5_000] == SPEECH[:5_000]
    assert client.progress.lost_bytes == 0
    assert client.progress.stored_bytes == len(SPEECH)


async def test_another_conversation_begins_when_the_one_before_is_safe(listen_stand_in):
    listen_stand_in.ack_lag = 100
    async with ListenClient(listen_stand_in.url, "t", options=ListenOptions("one", **FAST)) as client:
        await record(client, SPEECH[:10_000])
        await client.conversation("two")
        assert client.progress.acked_bytes == 10_000
        await record(client, SPEECH[10_000:20_000])
    one, two = listen_stand_in.sessions.values()
    assert (one.conversation_id, bytes(one.audio)) == ("one", SPEECH[:10_000])
    assert (two.conversation_id, bytes(two.audio)) == ("two", SPEECH[10_000:20_000])


async def test_two_channels_carry_their_byte_and_offsets_do_not_count_it(listen_stand_in):
    listen_stand_in.cuts = [(1500, 1006, None)]
    audio = AudioFormat("pcm16", 16000, channels=2)
    async with ListenClient(listen_stand_in.url, "t", audio, ListenOptions(**FAST)) as client:
        for n in range(10):
            await client.send(bytes([n]) * 320, channel=1 + n % 2)
        with pytest.raises(NotAcceptedError, match="channel 0"):
            await client.send(b"xx")
    assert listen_stand_in.total() == b"".join(bytes([n]) * 320 for n in range(10))
    (session,) = listen_stand_in.sessions.values()
    assert {m[0] for m in session.messages} == {1, 2}


async def test_going_away_says_how_long_to_wait(listen_stand_in):
    text = json.dumps({"type": "going_away", "reconnect_after_ms": 30})
    listen_stand_in.cuts = [(20_000, 1012, text)]
    options = ListenOptions(first_pause_s=100, longest_pause_s=200)  # would never end by its own pauses
    async with ListenClient(listen_stand_in.url, "t", options=options) as client:
        await record(client)
    assert listen_stand_in.total() == SPEECH


async def test_status_and_usage_are_shown_and_unknown_types_ignored(listen_stand_in, within):
    seen = []

    async def watch(client):
        # Every change is looked at: a cut follows each message, and reconnecting ends `buffering` at once.
        while True:
            seen.append(await client.changed())

    async with ListenClient(listen_stand_in.url, "t", options=ListenOptions(**FAST)) as client:
        watching = asyncio.create_task(watch(client))
        listen_stand_in.cuts = [(0, 1012, '{"type":"new","what":1}')]
        await client.send(b"ab")
        await within(lambda: not listen_stand_in.cuts)
        listen_stand_in.cuts = [(0, 1012, '{"type":"status","state":"buffering"}')]
        await client.send(b"ab")
        await within(lambda: any(progress.buffering for progress in seen))
        listen_stand_in.cuts = [(0, 1012, '{"type":"usage","state":"near"}')]
        await client.send(b"ab")
        await within(lambda: client.progress.usage == "near")
        await within(lambda: not client.progress.buffering)
        watching.cancel()


async def test_send_waits_when_too_much_is_kept(listen_stand_in, within):
    listen_stand_in.acking = False
    options = ListenOptions(limit_bytes=4_000, **FAST)
    async with ListenClient(listen_stand_in.url, "t", options=options) as client:
        sending = asyncio.create_task(record(client, SPEECH[:10_000]))
        await within(lambda: client.progress.sent_bytes == 4_000)
        assert not sending.done()
        assert client.progress.given_bytes == 4_000
        listen_stand_in.acking = True
        await client.finalize()
        await sending
    assert listen_stand_in.total() == SPEECH[:10_000]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1003, NotAcceptedError),
        (1007, NotAcceptedError),
        (1009, NotAcceptedError),
        (4400, NotAcceptedError),
        (4403, NotAllowedError),
        (4404, DeletedError),
        (4409, ReplacedError),
    ],
)
async def test_after_a_code_that_means_stop_it_stops_and_says_why(listen_stand_in, code, kind):
    listen_stand_in.cuts = [(2_000, code, '{"type":"error","code":"replaced","message":"so it is"}')]
    with pytest.raises(kind, match="so it is") as caught:  # noqa: PT012 - whichever call comes next says it
        async with ListenClient(listen_stand_in.url, "t", options=ListenOptions(**FAST)) as client:
            await record(client)
            await client.finalize()
    assert caught.value.code == "replaced"
    assert len(listen_stand_in.queries) == 1


async def test_a_token_that_ran_out_is_replaced_by_a_newer_one(listen_stand_in):
    listen_stand_in.cuts = [(10_000, 4401, '{"type":"error","code":"token_expired"}')]
    tokens = iter(["old", "new"])
    async with ListenClient(
        listen_stand_in.url, lambda: next(tokens), options=ListenOptions(**FAST)
    ) as client:
        await record(client)
    assert listen_stand_in.tokens == ["Bearer old", "Bearer new"]
    assert listen_stand_in.total() == SPEECH


@pytest.mark.parametrize("token", ["fixed", lambda: "the same again"])
async def test_without_a_newer_token_it_stops(listen_stand_in, token):
    listen_stand_in.refusals = [(401, {})] * 3
    with pytest.raises(UnauthorizedError):
        async with ListenClient(listen_stand_in.url, token, options=ListenOptions(**FAST)) as client:
            await client.ready()


async def test_a_refused_handshake_is_tried_again_where_that_can_help(listen_stand_in):
    listen_stand_in.refusals = [(503, {"Retry-After": "0"}), (429, {"Retry-After": "0"}), (502, {})]
    async with ListenClient(listen_stand_in.url, "t", options=ListenOptions(**FAST)) as client:
        await record(client)
    assert listen_stand_in.total() == SPEECH
    assert client.progress.reconnects == 3


@pytest.mark.parametrize(
    ("status", "kind"), [(400, NotAcceptedError), (403, NotAllowedError), (404, DeletedError)]
)
async def test_a_refused_handshake_stops_where_nothing_can_help(listen_stand_in, status, kind):
    listen_stand_in.refusals = [(status, {})]
    with pytest.raises(kind, match="told to refuse"):
        async with ListenClient(listen_stand_in.url, "t", options=ListenOptions(**FAST)) as client:
            await client.ready()


async def test_a_socket_lost_before_ready_or_after_close_changes_nothing(listen_stand_in):
    listen_stand_in.mute_ready = 2
    async with ListenClient(listen_stand_in.url, "t", options=ListenOptions(**FAST)) as client:
        await record(client)
    assert listen_stand_in.total() == SPEECH


async def test_it_gives_up_only_after_its_patience(unused_tcp_port):
    options = ListenOptions(patience_s=0.2, **FAST)
    with pytest.raises(UnreachableError, match="could not be reached") as caught:  # noqa: PT012 - whichever call comes next says it
        async with ListenClient(f"ws://127.0.0.1:{unused_tcp_port}", "t", options=options) as client:
            await client.send(b"ab")
            await client.finalize()
    assert "tapedeck up" in caught.value.hint


async def test_where_nobody_ever_was_it_gives_up_sooner(unused_tcp_port):
    options = ListenOptions(patience_s=60, first_patience_s=0.2, **FAST)
    for host in ("127.0.0.1", "localhost"):
        async with asyncio.timeout(60):
            with pytest.raises(UnreachableError, match="could not be reached"):  # noqa: PT012 - as above
                async with ListenClient(f"ws://{host}:{unused_tcp_port}", "t", options=options) as client:
                    assert client.progress.unreachable is None
                    while client.progress.unreachable is None:
                        await client.changed()
                    assert "111" in client.progress.unreachable or "refused" in client.progress.unreachable
                    await client.ready()


async def test_a_server_that_was_there_is_waited_for_with_all_patience(listen_stand_in):
    options = ListenOptions(patience_s=60, first_patience_s=0.0, **FAST)
    # The first answer is no refusal to connect: somebody is there.
    listen_stand_in.refusals = [(503, {"Retry-After": "0"})] * 3
    async with ListenClient(listen_stand_in.url, "t", options=options) as client:
        while client.progress.unreachable is None:
            await client.changed()
        assert client.progress.unreachable == "HTTP 503: told to refuse"
        await client.ready()
        assert client.progress.unreachable is None
        await record(client)
    assert listen_stand_in.total() == SPEECH


async def test_silence_is_bridged_with_keepalives(listen_stand_in, within):
    async with ListenClient(listen_stand_in.url, "t", options=ListenOptions(**FAST)) as client:
        await client.ready()
        await within(lambda: {"type": "keepalive"} in listen_stand_in.texts)


async def test_an_odd_last_byte_does_not_keep_a_recording_open(listen_stand_in):
    listen_stand_in.ack_lag = 1
    async with ListenClient(listen_stand_in.url, "t", options=ListenOptions(**FAST)) as client:
        await client.send(b"abc")
    assert listen_stand_in.total() == b"abc"


async def test_an_address_that_is_none_is_refused_at_once():
    with pytest.raises(NotAcceptedError, match="no WebSocket address"):
        async with ListenClient("http://x", "t") as client:
            await client.ready()
