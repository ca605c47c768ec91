"""A v1 client's messages that came before their session was open: kept in order, so many and no more, and the `close` among them always.

What a plain client sends then is taken as it comes (`intake`).
"""

from typing import Final

from listen.messages import ClientMessage, CloseSession

LIMIT: Final = 16


class EarlyMessages:
    """What a client said too early."""

    def __init__(self) -> None:
        self._messages: list[ClientMessage] = []

    def put(self, message: ClientMessage) -> bool:
        """Keeps a message. False: there are too many, it is left out."""
        if len(self._messages) >= LIMIT and not isinstance(message, CloseSession):
            return False
        self._messages.append(message)
        return True

    def take(self) -> list[ClientMessage]:
        """All of them, in order: the session is open."""
        messages, self._messages = self._messages, []
        return messages
