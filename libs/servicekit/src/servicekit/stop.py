"""Being asked to end, and by when. Owns nothing else: signals are `process`' business, and what to end is everybody's own."""

import asyncio


class Stop:
    """Whether something shall end, and by when. `drain_s`: how long ending may take, from the moment it is asked."""

    def __init__(self, drain_s: float) -> None:
        self.drain_s = drain_s
        self._event = asyncio.Event()
        self._deadline: float | None = None  # loop time; set together with the event

    def set(self) -> None:
        """Ask to end; from now on the time runs. Asking again changes nothing."""
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self.drain_s
            self._event.set()

    def is_set(self) -> bool:
        """Whether it was asked."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Returns when it is asked."""
        await self._event.wait()

    def remaining_s(self) -> float:
        """Seconds left for ending, never below 0; all of `drain_s` as long as nobody asked."""
        if self._deadline is None:
            return self.drain_s
        return max(0.0, self._deadline - asyncio.get_running_loop().time())
