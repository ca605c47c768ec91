"""A client of the listen service: records into a conversation over whatever sockets it takes.

Owns the socket and the waiting; what is sent, what follows from what the server says, and how long to pause between
sockets is decided in `listen_recording`, `listen_verdict` and `listen_patience`.

    async with ListenClient(url, token, AudioFormat("pcm16", 16000)) as client:
        await client.mark(now_ms)
        await client.send(pcm)
        await client.finalize()
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from tapedeck import listen_messages as wire
from tapedeck.addresses import is_loopback, listen_address
from tapedeck.audio_format import AudioFormat
from tapedeck.errors import ListenError, NotAcceptedError, ProtocolError
from tapedeck.listen_options import ListenOptions, Progress, Token
from tapedeck.listen_patience import Patience
from tapedeck.listen_recording import Message, Recording
from tapedeck.listen_verdict import (
    Again,
    Done,
    Stop,
    Verdict,
    nobody_listens,
    of_close,
    of_refusal,
    refusal_detail,
    unauthorized,
)

SUBPROTOCOL = Subprotocol("tapedeck.v1")
PING_INTERVAL_S = 15.0
PING_TIMEOUT_S = 45.0  # above the 30 s for which a server may stop reading while Redis is away
READY_TIMEOUT_S = 20.0


class ListenClient:
    """One recording. Use it as a context manager: leaving it without an exception closes it and makes all safe."""

    def __init__(
        self, url: str, token: Token, audio: AudioFormat | None = None, options: ListenOptions | None = None
    ) -> None:
        self._url = url
        self._token = token
        self._audio = audio if audio is not None else AudioFormat()
        self._options = options if options is not None else ListenOptions()
        self._recording = Recording(
            self._audio,
            conversation_id=self._options.conversation_id,
            keep=self._options.keep,
            limit_bytes=self._options.limit_bytes,
        )
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()  # something may be there to send
        self._waiters: list[asyncio.Future[None]] = []
        self._failure: ListenError | None = None
        self._done = False
        self._connected = False
        self._buffering = False
        self._usage: str | None = None
        self._last_error: wire.Error | None = None
        self._going_away: wire.GoingAway | None = None
        self._used_token: str | None = None
        self._refused_token: str | None = None
        self._patience = Patience(url, self._options, time.monotonic())

    async def __aenter__(self) -> Self:
        """Open the first socket in the background; `ready` waits for it."""
        self._patience.begin(time.monotonic())
        self._task = asyncio.create_task(self._run(), name="tapedeck-listen-client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, unless something went wrong: then drop the socket as it is."""
        try:
            if kind is None:
                await self.close()
        finally:
            await self._stop()

    @property
    def progress(self) -> Progress:
        """Where the recording stands now."""
        recording = self._recording
        return Progress(
            conversation_id=recording.conversation_id,
            session=recording.session,
            given_bytes=recording.outbox.end,
            sent_bytes=recording.outbox.cursor,
            acked_bytes=recording.outbox.acked,
            stored_bytes=recording.outbox.stored,
            connected=self._connected,
            unreachable=self._patience.unreachable,
            buffering=self._buffering,
            usage=self._usage,
            reconnects=self._patience.reconnects,
            resumed=recording.resumed,
            begun_anew=recording.begun_anew,
            lost_bytes=recording.lost_bytes,
            last_error=self._last_error.code if self._last_error else None,
        )

    async def ready(self) -> str:
        """The conversation's id, when the first session is open."""
        await self._until(lambda: self._recording.session is not None)
        return str(self._recording.conversation_id)

    async def send(self, payload: bytes, channel: int = 0) -> None:
        """Record a payload: PCM of any length, or one packet. Waits while too much is kept.

        `channel` is 1 (near) or 2 (far) where the format has two, else 0.
        """
        if (channel == 0) != (self._audio.channels == 1) or not 0 <= channel <= self._audio.channels:
            raise NotAcceptedError(f"channel {channel} of audio with {self._audio.channels} channels")
        await self._until(lambda: self._recording.outbox.room)
        self._recording.add(payload, channel, time.time() * 1000)
        self._wake.set()

    async def mark(self, at_ms: int) -> None:
        """The next payload byte was captured at this unix time: at the start, and after every hole."""
        self._raise_failure()
        self._recording.outbox.mark(at_ms)

    async def finalize(self) -> wire.Finalized:
        """Store what was sent up to now; the server answers within 15 s, with `stored` false if it takes longer."""
        self._raise_failure()
        request = self._recording.finalize()
        self._wake.set()
        await self._until(lambda: request.answer is not None)
        if request.answer is None:
            raise ProtocolError("the recording ended before `finalize` was answered")
        return request.answer

    async def conversation(self, conversation_id: str) -> None:
        """Go on in another conversation, once everything up to now is safe."""
        if self._options.keep == "stored":
            await self._store_all()
        request = self._recording.switch(conversation_id)
        self._wake.set()
        await self._until(lambda: request.done)

    async def close(self) -> None:
        """The end: returns when everything is safe (with `keep="stored"`: in the bucket). A second call does nothing."""
        if self._done or self._failure is not None:
            self._raise_failure()
            return
        if self._options.keep == "stored" and not self._recording.closing:
            await self._store_all()
        if not self._recording.closing:
            self._recording.close()
        self._wake.set()
        await self._until(lambda: self._done)

    async def changed(self) -> Progress:
        """Where the recording stands, when something has changed."""
        self._raise_failure()
        await self._wait()
        return self.progress

    async def _store_all(self) -> None:
        outbox = self._recording.outbox
        while not (await self.finalize()).stored and outbox.end - outbox.stored >= self._audio.frame_bytes:
            continue

    # Waiting for one another

    def _notify(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def _until(self, condition: Callable[[], bool]) -> None:
        while True:
            self._raise_failure()
            if self._task is None:
                raise NotAcceptedError("the client is not open", hint="use `async with ListenClient(…)`")
            if condition():
                return
            if self._task.done():
                raise ProtocolError("the recording is over")
            await self._wait()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _stop(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    # One socket after another

    async def _run(self) -> None:
        try:
            while True:
                verdict = await self._one_socket()
                self._connected = False
                self._recording.on_lost()
                if self._recording.closing and (isinstance(verdict, Done) or self._recording.all_acked):
                    self._done = True
                    return
                if isinstance(verdict, Stop):
                    raise verdict.error
                await self._pause(verdict)
        except ListenError as error:
            self._failure = error
        finally:
            self._connected = False
            self._notify()

    async def _pause(self, verdict: Again | Done) -> None:
        if isinstance(verdict, Again) and verdict.new_token:
            if isinstance(self._token, str):
                raise unauthorized(self._last_error)
            self._refused_token = self._used_token
        asked_s = verdict.after_s if isinstance(verdict, Again) else None
        jitter = random.uniform(0.5, 1)  # noqa: S311 - jitter, no secret
        pause_s = self._patience.pause_s(asked_s, time.monotonic(), jitter)
        self._notify()
        await asyncio.sleep(pause_s)

    async def _one_socket(self) -> Verdict:
        self._used_token = self._token if isinstance(self._token, str) else self._token()
        if self._used_token == self._refused_token:
            return Stop(unauthorized(self._last_error))
        self._going_away, self._last_error = None, None
        try:
            async with connect(
                listen_address(self._url, self._recording.query()),
                subprotocols=[SUBPROTOCOL],
                additional_headers={"Authorization": f"Bearer {self._used_token}"},
                compression=None,  # Opus does not shrink, PCM hardly, and it costs the server 100 KB a socket
                proxy=None if is_loopback(self._url) else True,
                ping_interval=PING_INTERVAL_S,
                ping_timeout=PING_TIMEOUT_S,
                close_timeout=2,
                max_size=64 * 1024,
            ) as socket:
                return await self._serve(socket)
        except InvalidURI as error:
            return Stop(
                NotAcceptedError(
                    f"{self._url} is no WebSocket address: {error}", hint="it looks like ws://host:port"
                )
            )
        except InvalidStatus as error:
            response = error.response
            status = f"HTTP {response.status_code}"
            detail = refusal_detail(bytes(response.body or b""))
            verdict = of_refusal(response.status_code, response.headers.get("Retry-After"), detail)
            self._patience.why = status
            if isinstance(verdict, Again) and not verdict.new_token:
                self._patience.failed(f"{status}: {detail}" if detail else status)
            return verdict
        except (OSError, InvalidHandshake, TimeoutError) as error:
            self._patience.failed(str(error) or type(error).__name__, nobody_listens=nobody_listens(error))
            return Again()

    async def _serve(self, socket: ClientConnection) -> Verdict:
        """Pump one socket until it closes."""
        sender = asyncio.create_task(self._send_all(socket), name="tapedeck-listen-sender")
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                useful = await self._first(socket)
            if not useful:
                return Again(0.0)
            self._connected, self._buffering = True, False
            self._patience.opened()
            self._wake.set()
            self._notify()
            while True:
                self._on_message(wire.parse(_text(await socket.recv())))
        except ConnectionClosed:
            # The code is on the socket, whichever task saw it first; 1006 where the peer sent none.
            code = socket.close_code
            said = f": {self._last_error.message}" if self._last_error is not None else ""
            self._patience.why = f"closed with {code}{said}"
            return of_close(code, self._last_error, self._going_away)
        finally:
            if self._connected:
                self._patience.closed(time.monotonic())
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender

    async def _first(self, socket: ClientConnection) -> bool:
        """Read up to `ready`; False if it is of no use (see `Recording.on_ready`)."""
        while True:
            message = wire.parse(_text(await socket.recv()))
            if isinstance(message, wire.Ready):
                return self._recording.on_ready(message)
            self._on_message(message)

    def _on_message(self, message: wire.ServerMessage) -> None:
        match message:
            case wire.Ready():
                self._recording.on_ready(message)
            case wire.Ack():
                self._recording.on_ack(message)
                self._patience.calm()
            case wire.Finalized():
                self._recording.on_finalized(message)
            case wire.Status(state):
                self._buffering = state == "buffering"
            case wire.Usage(state):
                self._usage = state
            case wire.GoingAway():
                self._going_away = message
            case wire.Error():
                self._last_error = message
            case wire.Unknown():
                return
        self._wake.set()
        self._notify()

    async def _send_all(self, socket: ClientConnection) -> None:
        try:
            while True:
                message = self._next()
                if message is None:
                    await self._idle(socket)
                    continue
                for text in message.texts:
                    await socket.send(text)
                if message.audio is not None:
                    await socket.send(message.audio)
                    self._notify()
        except ConnectionClosed:
            return  # the reader sees it too, and decides

    async def _idle(self, socket: ClientConnection) -> None:
        """Wait until there may be something to send; say so where that takes long."""
        self._wake.clear()
        try:
            async with asyncio.timeout(self._recording.keepalive_s * 0.8):
                await self._wake.wait()
        except TimeoutError:
            if self._connected:
                await socket.send(wire.keepalive())

    def _next(self) -> Message | None:
        """What to send; nothing more to a server that is about to leave: it would only have to be sent again."""
        return None if self._going_away is not None else self._recording.next()


def _text(message: str | bytes) -> str:
    if isinstance(message, bytes):
        raise ProtocolError("the server sent a binary message; the protocol has none")
    return message
