"""Every abnormal close is announced; which message is meant, code by code, says `tapedeck_testing.protocol.endings`.

1012 at SIGTERM is announced by `going_away` (test_pressure.py::test_sigterm), every other code by `error`. `SocketClient.closed` holds
each close in this folder to that. Here those are gone through that need no other process, and the check itself is looked at.
"""

import pytest

from audiobus import Conversation
from tapedeck_testing.protocol.endings import REASONS, check_announced
from tapedeck_testing.protocol.listen_process import ORIGIN

NO_PACKET = b"\xff\xff\xff"
NO_TEXT = b"\xc3\x28"


async def nothing(listen):
    """All is as it was."""


async def deleted(listen):
    async with listen.bus() as bus:
        await bus.command("SET", bus.keys.tomb(Conversation("alice", "end-4404")), "1")


async def merging(listen):
    async with listen.bus() as bus:
        await bus.command("HSET", bus.keys.conv(Conversation("alice", "end-4409")), "merging", "target")


async def storing_off(listen):
    await listen.set_user("ends", store_audio="false")


@pytest.mark.parametrize(
    ("code", "options", "arrange", "messages"),
    [
        (1003, {"codec": "mp3"}, nothing, ()),
        (1007, {"codec": "opus"}, nothing, [NO_PACKET] * 50),
        (1007, {}, nothing, [NO_TEXT]),
        (1009, {}, nothing, [bytes(65_537)]),
        (4400, {"session": "x"}, nothing, ()),
        (4401, {"token": "nonsense"}, nothing, ()),
        (4403, {"uid": "ends"}, storing_off, ()),
        (4404, {}, deleted, ()),
        (4409, {}, merging, ()),
    ],
)
async def test_an_error_comes_before(listen, code, options, arrange, messages):
    """error.before_close: the last thing that was wrong is a reason for this code, and is for people too."""
    await arrange(listen)
    async with listen.connect(conversation_id=f"end-{code}", headers={"Origin": ORIGIN}, **options) as client:
        if messages:
            await client.ready()
            for message in messages:
                await client.socket.send(message, text=message is NO_TEXT)
        assert await client.closed() == code
    last = client.heard("error")[-1]
    assert last["code"] in REASONS[code]
    assert last["message"]


GOING_AWAY = {"type": "going_away", "reconnect_after_ms": 1_830}


def error(code):
    return {"type": "error", "code": code, "message": "for people"}


@pytest.mark.parametrize(
    ("code", "heard"),
    [
        (1012, []),
        (1012, [error("unavailable")]),
        (1013, [GOING_AWAY]),
        (4401, []),
        (4401, [error("unauthorized"), error("bad_json")]),
        (1009, [error("limit")]),
        (1002, [error("bad_json")]),
    ],
)
def test_a_close_that_was_not_announced_is_found(code, heard):
    """error.before_close, going_away.before_1012: the check itself, which every close in this folder goes through."""
    with pytest.raises(AssertionError):
        check_announced(code, heard)


@pytest.mark.parametrize(
    ("code", "heard"),
    [(1000, []), (1006, []), (1012, [GOING_AWAY]), (4401, [error("bad_json"), error("token_expired")])],
)
def test_a_close_that_was_announced_passes(code, heard):
    """error.before_close, going_away.before_1012: the same, of those that are."""
    check_announced(code, heard)
