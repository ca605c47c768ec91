"""Health: what this process needs, how each of it is, and so whether it is ready.

Owns the state that `/readyz` shows. Being asked never touches Redis or the bucket: whoever talks to them reports here, or
`watch` asks them at its own pace. Liveness is not here: a process lives while its event loop answers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import msgspec

log = logging.getLogger(__name__)

State = Literal["ok", "warning", "failed"]
_SIGNS: Final[dict[State, str]] = {"ok": "+", "warning": "!", "failed": "-"}


class Check(msgspec.Struct, frozen=True):
    """How one thing is. `warning`: it works, but an operator must know (Redis may evict audio); still ready."""

    state: State
    detail: str = ""


class Health:
    """Ready when it is not draining and every named check is `ok` or `warning`. A check begins `failed`: "not checked yet"."""

    def __init__(self, *checks: str) -> None:
        self._checks: dict[str, Check] = {}
        self._draining = False
        for name in checks:
            self.expect(name)

    def expect(self, name: str) -> None:
        """One more check that ready needs: "not checked yet"."""
        self._checks[name] = Check("failed", "not checked yet")

    def ok(self, name: str, detail: str = "") -> None:
        """`name` works."""
        self._report(name, Check("ok", detail))

    def warn(self, name: str, detail: str) -> None:
        """`name` works, but not as it should: `detail` says what to do. Logged when it is new."""
        self._report(name, Check("warning", detail))

    def fail(self, name: str, detail: str) -> None:
        """`name` does not work: unready until `ok` or `warn`. Logged when it is new."""
        self._report(name, Check("failed", detail))

    def drain(self) -> None:
        """Unready from now on, for good: this process is about to end."""
        self._draining = True

    @property
    def ready(self) -> bool:
        """Whether new work may come."""
        return not self._draining and all(check.state != "failed" for check in self._checks.values())

    @property
    def checks(self) -> dict[str, Check]:
        """Every check by name, `shutdown` among them."""
        shutdown = Check("failed", "draining") if self._draining else Check("ok")
        return {**self._checks, "shutdown": shutdown}

    def text(self) -> str:
        """What `/readyz?verbose` shows: a line a check (`[+]` works, `[!]` warning, `[-]` failed), and the sum."""
        lines = [
            f"[{_SIGNS[check.state]}]{name} {check.state}" + (f": {check.detail}" if check.detail else "")
            for name, check in self.checks.items()
        ]
        lines.append("ready" if self.ready else "not ready")
        return "\n".join(lines) + "\n"

    async def watch(
        self,
        name: str,
        probe: Callable[[], Awaitable[None]],
        *,
        every_s: float = 5.0,
        timeout_s: float = 2.0,
        needed: Literal["always", "to begin"] = "always",
    ) -> None:
        """Ask `probe` now and then `every_s`, for ever, and report it as `name`; what it raises is the reason it failed.

        To be run as a task. One try that fails says nothing: after it comes another within a second, and the second in a row
        counts (the very first of all at once: nothing has worked yet). A probe that works clears what was reported here, but
        leaves a warning that someone else reported. Needed `to begin`: once it has worked, trouble is a warning, for this
        process can do without it and all of its neighbours are in the same trouble.
        """
        worked, failures, reported = False, 0, None
        while True:
            trouble = await _trouble(probe, timeout_s)
            failures = 0 if trouble is None else failures + 1
            if trouble is None:
                worked = True
                if (
                    (before := self._checks.get(name)) is None
                    or before.state == "failed"
                    or before == reported
                ):
                    self.ok(name)
            elif not worked or failures > 1:
                reported = Check("warning" if worked and needed == "to begin" else "failed", trouble)
                self._report(name, reported)
            # One second after the first failure, then more, up to the usual pace.
            await asyncio.sleep(min(every_s, float(failures * failures)) if failures else every_s)

    async def advise(
        self,
        name: str,
        complaints: Callable[[], Awaitable[list[str]]],
        *,
        away: type[Exception],
        every_s: float = 60.0,
    ) -> None:
        """Ask for `complaints` now and then `every_s`, for ever; a warning as long as there are any.

        To be run as a task. `away` says that nobody could be asked: nothing is reported, that is `watch`'s business.
        """
        while True:
            try:
                found = await complaints()
            except away:
                pass
            else:
                if found:
                    self.warn(name, "; ".join(found))
                else:
                    self.ok(name)
            await asyncio.sleep(every_s)

    def _report(self, name: str, check: Check) -> None:
        before = self._checks.get(name)
        self._checks[name] = check
        if before == check:
            return
        if check.state != "ok":
            log.warning("check %s: %s", name, check.state, extra={"check": name, "detail": check.detail})
        elif before is not None and before.detail != "not checked yet":
            log.info("check %s: ok again", name, extra={"check": name})


async def _trouble(probe: Callable[[], Awaitable[None]], timeout_s: float) -> str | None:
    """What a try says that is wrong."""
    try:
        async with asyncio.timeout(timeout_s):
            await probe()
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except Exception as error:  # noqa: BLE001 - the top of a task: a probe may fail in any way, that is its answer
        return f"{type(error).__name__}: {error}"
    return None
