"""One admin address for a component that runs as several processes: what its children say, as one answer.

Owns the questions to the children. How metrics are added up is `servicekit.exposition`'s. A sum is never one of some: where a child does
not answer, there is none, for counters that go down and up again would be counted twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import httpx

from servicekit.bind import Bind, bind_socket
from servicekit.exposition import merge
from servicekit.stop import Stop

TIMEOUT_S = 2.0
TEXT = "text/plain; charset=utf-8"

Message = MutableMapping[str, Any]
Answer = tuple[int, str, str]
"""Status, content type, body."""


@dataclass(frozen=True, slots=True)
class AdminSum:
    """Where it is served, and of whom it speaks."""

    host: str
    port: int
    children: tuple[str, ...]
    """Base addresses of their admin ports."""

    @property
    def url(self) -> str:
        """Its own base address."""
        return f"http://{self.host}:{self.port}"

    async def serve(self, stop: Stop) -> None:
        """Serve `/livez`, `/readyz` and `/metrics` until `stop`. BindError."""
        from servicekit.http import serve  # noqa: PLC0415 - 0.1 s, which a stack of single processes need not wait for

        bound = bind_socket(Bind(self.host, self.port))
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            await serve(_app(lambda path, query: self._answer(client, path, query)), bound, stop)

    async def _answer(self, client: httpx.AsyncClient, path: str, query: str) -> Answer:
        if path == "/livez":
            return 200, TEXT, "ok\n"
        if path not in ("/readyz", "/metrics"):
            return 404, TEXT, "not found\n"
        target = f"{path}?{query}" if query else path
        answers = await asyncio.gather(*(_ask(client, child + target) for child in self.children))
        if path == "/readyz":
            ready = all(answer is not None and answer.is_success for answer in answers)
            texts = [answer.text if answer is not None else "no answer\n" for answer in answers]
            said = [f"{child}:\n{text}" for child, text in zip(self.children, texts, strict=True)]
            short = "ready\n" if ready else "not ready\n"
            return 200 if ready else 503, TEXT, "".join(said) if "verbose" in query else short
        pages = [answer for answer in answers if answer is not None and answer.is_success]
        if len(pages) < len(answers):
            return 503, TEXT, f"{len(answers) - len(pages)} of {len(answers)} processes do not answer\n"
        return 200, pages[0].headers.get("content-type", TEXT), merge([page.text for page in pages])


async def _ask(client: httpx.AsyncClient, url: str) -> httpx.Response | None:
    try:
        return await client.get(url)
    except httpx.TransportError:
        return None


def _app(answer: Callable[[str, str], Awaitable[Answer]]) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """An ASGI app of GET requests."""

    async def app(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            status, kind, body = 405, TEXT, "method not allowed\n"
            if scope["method"] in ("GET", "HEAD"):
                status, kind, body = await answer(scope["path"], scope["query_string"].decode("latin-1"))
            data = body.encode()
            headers = [(b"content-type", kind.encode()), (b"content-length", str(len(data)).encode())]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": data})
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    return app
