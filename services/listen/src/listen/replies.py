"""What the session answers an event with: actions, collected in their order until the event is over.

Owns that nothing is said to a client that has gone, and nothing before the first `ready` but what goes before a close. Must not
decide what is said.
"""

from collections.abc import Iterable
from typing import Final

from listen import messages
from listen.actions import Action, Count, SendText

EARLY_LIMIT: Final = 16
"""So many texts wait for `ready`; what is wrong beyond is only counted."""


class Replies:
    """The actions of one event after another."""

    def __init__(self) -> None:
        self.gone = False
        """The client has left: nothing can be sent."""
        self._closed = False
        self._begun = False
        self._early: list[str] = []
        """Texts that wait for the first `ready`, or the close."""
        self._told = False
        """The client was told `buffering`, and not yet `ok`."""
        self._actions: list[Action] = []

    def do(self, actions: Iterable[Action]) -> None:
        """Actions for the shell."""
        self._actions += actions

    def say(self, text: str) -> None:
        """A text for the client."""
        if not self.gone:
            self._actions.append(SendText(text))

    def ready(self, text: str) -> None:
        """A `ready` for the client: the first message that it gets, unless it is an error and the end."""
        self._begun = True
        self.say(text)
        early, self._early = self._early, []
        for waited in early:
            self.say(waited)

    def count(self, what: str, amount: int, label: str = "") -> None:
        """Something for the metrics."""
        self._actions.append(Count(what, amount, label))

    def reject(self, code: messages.ErrorCode, reason: str) -> None:
        """A message of the client is left out: counted, and the client told why."""
        self.count("rejected", 1, code)
        self.complain(code, reason)

    def complain(self, code: messages.ErrorCode, reason: str) -> None:
        """What is wrong is told."""
        self.later(messages.error(code, reason))

    def later(self, text: str) -> None:
        """A text for the client: now, or after the first `ready`."""
        if self._begun:
            self.say(text)
        elif len(self._early) < EARLY_LIMIT:
            self._early.append(text)

    def trouble(self, begins: bool | None) -> None:  # noqa: FBT001 - None: nothing has changed
        """Audio waits, or no longer does (`Pressure.judge`)."""
        if begins is None or self._closed:
            return
        self.count("backpressure", 1, "paused" if begins else "resumed")
        if begins != self._told and self._begun:
            self._told = begins
            self.say(messages.status("buffering" if begins else "ok"))

    def close(self, actions: Iterable[Action]) -> None:
        """The last actions, `Close` at their end."""
        if self._early and not self.gone:
            # Before the error that says why it ends: the last one counts.
            self._actions[:0] = map(SendText, self._early)
        self.do(actions)
        self._closed = True

    def take(self) -> list[Action]:
        """All of them since the last call."""
        actions, self._actions = self._actions, []
        return actions
