import asyncio
from typing import Any

from listen import outgoing
from listen.outgoing import Outgoing


async def test_texts_go_out_in_order_and_the_close_last():
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    half = Outgoing(send)
    half.text("a")
    half.text("b")
    half.close(1000)
    half.text("c")
    assert await half.run()
    assert sent == [
        {"type": "websocket.send", "text": "a"},
        {"type": "websocket.send", "text": "b"},
        {"type": "websocket.close", "code": 1000},
    ]


async def test_a_client_that_takes_nothing_has_a_deadline(monkeypatch):
    monkeypatch.setattr(outgoing, "SEND_TIMEOUT_S", 0.01)

    async def send(message: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    half = Outgoing(send)
    half.text("a")
    assert not await half.run()


async def test_too_much_that_waits_is_the_end():
    async def send(message: dict[str, Any]) -> None:
        raise AssertionError("nothing is sent")

    half = Outgoing(send)
    for _ in range(outgoing.QUEUE_LIMIT + 1):
        half.text("a")
    assert not await half.run()


async def test_nothing_is_sent_to_who_is_gone():
    async def send(message: dict[str, Any]) -> None:
        raise AssertionError("nothing is sent")

    half = Outgoing(send)
    half.text("a")
    half.drop()
    half.close(1000)
    assert await half.run()
