"""What one client does wrong: left out, counted, told; and when it is too much.

Must not close: it answers the close code.
"""

from typing import Final

from listen import close_codes, messages
from listen.errors import BadAudioError, WrongRateError
from listen.replies import Replies

BAD_PACKETS_LIMIT: Final = 50


class Faults:
    """One socket's."""

    def __init__(self, out: Replies) -> None:
        self._out = out
        self._told_early = False
        self.bad_in_a_row = 0
        """Messages that were no audio, since the last one that was."""

    def ready(self) -> None:
        """The client was told that it may send audio."""
        self._told_early = False

    def early_audio(self) -> None:
        """Audio came before `ready`. Every message is counted, the first one told."""
        self._out.count("rejected", 1, "not_ready")
        if not self._told_early:
            self._told_early = True
            self._out.complain("not_ready", "audio before `ready` is left out: wait for it")

    def early_text(self) -> None:
        """More was said before `ready` than is kept."""
        self._out.reject("not_ready", "too much was said before `ready`: this is left out")

    def too_big(self) -> int:
        """A message is over the limit, which is the end. Answers the code to close with."""
        self._out.reject("too_big", f"a message has at most {messages.MAX_MESSAGE_BYTES} bytes")
        return close_codes.TOO_BIG

    def unreadable(self, code: int, reason: str) -> int:
        """What came is no WebSocket message, or one over the limit. Answers the code to close with: `code`."""
        if code == close_codes.TOO_BIG:
            return self.too_big()
        self._out.reject("bad_parameter", f"not a WebSocket message: {reason}")
        return code

    def bad_audio(self, error: BadAudioError | WrongRateError) -> int | None:
        """A message is no audio of the codec. Answers the code to close with, if it is one too many."""
        if isinstance(error, WrongRateError):
            self._out.reject("bad_parameter", str(error))
            return close_codes.NOT_SUPPORTED
        self._out.reject("bad_audio", f"left out: {error}")
        self.bad_in_a_row += 1
        return close_codes.BAD_DATA if self.bad_in_a_row >= BAD_PACKETS_LIMIT else None
