"""From a well-formed handshake to a session, or to a refusal: one short task for each, which ends when it is known.

Owns the order: path, origin, place, who and what, the user's place, accept, begin; and that a client which leaves meanwhile leaves
nothing behind. The rules are elsewhere.
"""

import asyncio
import time
import uuid
from contextlib import ExitStack
from typing import Final

from audiobus import Conversation
from listen import close_codes, messages
from listen.admission import V1, Admission, Admitted, dialect, sees_only_sockets
from listen.answer import refusal
from listen.backend import Backend, now_ms
from listen.connection import Connection
from listen.door import Door
from listen.encoding import SocketEncoder
from listen.errors import RefusedError
from listen.handshake import Handshake
from listen.settings import ListenSettings
from listen.sockets import Sockets
from listen.terms import Terms
from listen.wire import Wire
from servicekit.ids import new_conversation_id
from servicekit.metrics import OTHER
from servicekit.problem import identified, request_id

SOCKET: Final = "/v4/listen"
WEB_SOCKET: Final = "/v4/web/listen"
"""Where the token may come in the first message."""
FIRST_MESSAGE_S: Final = 5.0


class Reception:
    """Receives the clients of one process."""

    def __init__(
        self, settings: ListenSettings, backend: Backend, admission: Admission, sockets: Sockets
    ) -> None:
        self._settings = settings
        self._backend = backend
        self._admission = admission
        self._sockets = sockets

    async def receive(self, door: Door, handshake: Handshake) -> None:
        """One handshake. Cancelled where the client leaves."""
        metrics = self._backend.metrics
        visit = _Visit(door, handshake, self._sockets)
        with identified(handshake.headers.get("x-request-id", "")):
            if handshake.path not in (SOCKET, WEB_SOCKET):
                metrics.refused[OTHER].inc()
                door.answer(refusal(404, "Not Found"))
                return
            if self._admission.foreign(handshake.headers.get("origin")):
                metrics.refused["origin"].inc()
                door.answer(refusal(403, "this origin may not connect", code="forbidden"))
                return
            try:
                with ExitStack() as places:
                    places.enter_context(self._sockets.place(handshake.address))
                    await self._admit(visit, places)
            except RefusedError as error:
                metrics.refused[error.reason].inc()
                visit.refuse(error)
            except _LeftError:
                return
            except Exception:
                visit.fail()
                raise

    async def _admit(self, visit: "_Visit", places: ExitStack) -> None:
        handshake = visit.handshake
        arrived_ms = now_ms() - handshake.lain_ms
        first_token = visit.first_token if handshake.path == WEB_SOCKET else None
        admitted = await self._admission.admit(handshake, first_token)
        uid, cid = admitted.claims.uid, admitted.opening.conversation_id
        replaces = cid is not None and self._backend.handover.holds(Conversation(uid, cid))
        self._backend.session_rate.check(uid, admitted.opening.resume, time.monotonic())
        places.enter_context(self._sockets.place_of(uid, replaces=replaces))
        if (mismatch := admitted.opening.mismatch) is not None:
            visit.accept()  # whoever it is: this is told after the handshake
            raise RefusedError(400, "bad_parameter", mismatch, close_code=close_codes.BAD_PARAMETER)
        owner = uuid.uuid4().hex
        connection = self._connection(admitted, arrived_ms, owner)
        places.enter_context(self._backend.spans.of_socket(owner, handshake.headers.get("traceparent")))
        self._sockets.begin(connection, visit.accept(), places.pop_all())

    def _connection(self, admitted: Admitted, arrived_ms: int, owner: str) -> Connection:
        opening = admitted.opening
        expires_at = admitted.claims.expires_at
        settings = self._settings
        terms = Terms(
            arrived_ms=arrived_ms,
            uid=admitted.claims.uid,
            owner=owner,
            conversation_id=opening.conversation_id or new_conversation_id(),
            resume=opening.resume,
            dialect=admitted.dialect,
            audio_format=opening.audio_format,
            chunk_ms=settings.chunk_ms,
            batch_ms=int(settings.batch_seconds * 1000),
            due_ms=int(min(settings.batch_seconds, settings.idle_seconds) * 1000),
            expires_at_ms=None if expires_at is None else int(expires_at * 1000),
            user=admitted.user,
            allowance=settings.allowance,
        )
        encoder = SocketEncoder(
            opening.audio_format, bitrate=settings.opus_bitrate, complexity=settings.opus_complexity
        )
        return Connection(terms, encoder, self._backend, request_id=request_id())


class _Visit:
    """One client until its session begins: the receiver of its messages, if it has been accepted by then."""

    def __init__(self, door: Door, handshake: Handshake, sockets: Sockets) -> None:
        self.handshake = handshake
        self._sockets = sockets
        self._door = door
        self._wire: Wire | None = None
        self._task = asyncio.current_task()
        self._first: asyncio.Future[str] | None = None
        """The first message, where it is waited for."""

    # -- what the reception does -------------------------------------------------------------------------------------

    def accept(self) -> Wire:
        """Accepts the socket, if it is not yet. It is not read before somebody resumes it.

        Raises:
            _LeftError: there is nobody any more.
        """
        if self._wire is None:
            subprotocol = V1 if dialect(self.handshake) == "v1" else None
            self._wire = self._door.accept(self, subprotocol)
        if self._wire is None:
            raise _LeftError
        return self._wire

    async def first_token(self) -> str:
        """Accepts the socket; the token in its first message.

        Raises:
            RefusedError: 401, none came; 400, the message is too big, or no WebSocket message; 503, too many wait, or this process ends.
            _LeftError: there is nobody any more.
        """
        wire = self.accept()
        self._first = asyncio.get_running_loop().create_future()
        wire.resume()
        try:
            with self._sockets.place_of_stranger(self):
                async with asyncio.timeout(FIRST_MESSAGE_S):
                    message = messages.parse_client_text(await self._first)
        except TimeoutError as error:
            raise RefusedError(401, "unauthorized", "no token came within 5 s") from error
        if isinstance(message, messages.AuthFirst):
            return message.token
        if isinstance(message, messages.TooBig):
            raise _too_big()
        raise RefusedError(401, "unauthorized", "the first message must be the token")

    def send_away(self, error: RefusedError) -> None:
        """Its first message is waited for no longer."""
        if self._first is not None and not self._first.done():
            self._first.set_exception(error)

    def refuse(self, error: RefusedError) -> None:
        """Answers a refusal: over HTTP, or to who sees only WebSockets as an error and a close."""
        if self._wire is None and not sees_only_sockets(self.handshake):
            headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
            self._door.answer(refusal(error.status, error.message, code=error.code, headers=headers))
            return
        retry_after_ms = None if error.retry_after_s is None else 1000 * error.retry_after_s
        self._end(messages.error(error.code, error.message, retry_after_ms), error.close_code)

    def fail(self) -> None:
        """A defect of ours: the client is told, and no other one notices."""
        message = f"our fault; request {request_id()}"
        if self._wire is None and not sees_only_sockets(self.handshake):
            self._door.answer(refusal(500, message, code="internal"))
        else:
            self._end(messages.error("internal", message), close_codes.DEFECT)

    def _end(self, text: str, code: int) -> None:
        try:
            wire = self.accept()
        except _LeftError:
            return  # nobody is there to be told
        wire.send(text)
        wire.close(code)
        self._door.refused(wire)

    # -- what the wire tells -----------------------------------------------------------------------------------------

    def binary(self, data: bytes) -> None:
        """No token."""
        del data
        self.text("")

    def text(self, text: str) -> None:
        """The first message; what comes after it waits."""
        if self._wire is not None:
            self._wire.pause()
        if self._first is not None and not self._first.done():
            self._first.set_result(text)

    def failed(self, code: int, reason: str) -> None:
        """The client broke the WebSocket protocol before it said who it is."""
        if self._first is not None and not self._first.done():
            error = (
                _too_big()
                if code == close_codes.TOO_BIG
                else RefusedError(400, "bad_parameter", reason, close_code=code)
            )
            self.send_away(error)
        elif self._wire is not None:
            self._wire.close(code)

    def gone(self) -> None:
        """The client has left: what is being done for it ends."""
        if self._task is not None:
            self._task.cancel()


class _LeftError(Exception):
    """The client has left."""


def _too_big() -> RefusedError:
    return RefusedError(
        400,
        "too_big",
        f"a message has at most {messages.MAX_MESSAGE_BYTES} bytes",
        close_code=close_codes.TOO_BIG,
    )
