"""The life of a process: settings, logs, event loop, signals, orderly end, deadline, exit code.

Owns what happens around a service's main coroutine. SIGTERM or SIGINT asks it to stop; a second signal ends the process at
once; one that has not ended a little after its drain time is ended, so that no supervisor waits for ever.

Exit codes: 0 ended when asked to, or the settings can be used (`--check`); 1 failed (the log says why), or did not end in time; 2 settings are wrong; 128 + n by a second
signal n.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from servicekit import logs
from servicekit.errors import BindError, KeySourceError, SettingsError
from servicekit.settings import load, usage
from servicekit.stop import Stop

log = logging.getLogger(__name__)

S = TypeVar("S", bound=msgspec.Struct)

SETTINGS_ARE_WRONG: Final = 2
OVERTIME_S: Final = 2.0  # beyond the drain time, for what comes after it: closing clients, threads


def main(
    command: str,
    settings: type[S],
    start: Callable[[S, Stop], Awaitable[None]],
    *,
    argv: Sequence[str] | None = None,
) -> NoReturn:
    """The whole `__main__` of a service: `--help`, `--check`, settings, logs, `start(settings, stop)` on uvloop, exit.

    `command` is the module (`python -m storage_api`); in logs, as in metrics and traces, the service is `storage-api`. The settings need a field `process` of
    `groups.ProcessSettings`. Let `start` import the service, so that --help and wrong settings answer at once.
    `--check` reads the settings and exits, with 0 or 2; it connects to nothing.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if any(argument in {"-h", "--help"} for argument in arguments):
        sys.stdout.write(usage(f"python -m {command}", settings))
        raise SystemExit(0)
    only_check = list(arguments) == ["--check"]
    if arguments and not only_check:
        sys.stderr.write(
            f"{command} takes no other arguments: its settings come from the environment (--help lists them, --check reads them)\n"
        )
        raise SystemExit(SETTINGS_ARE_WRONG)
    try:
        loaded: Any = load(settings, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{command}: {error}\n")
        raise SystemExit(SETTINGS_ARE_WRONG) from None
    if only_check:
        raise SystemExit(0)
    logs.configure(command.replace("_", "-"), loaded.process.log_level)
    raise SystemExit(run(lambda stop: start(loaded, stop), drain_s=loaded.process.drain_seconds))


def run(body: Callable[[Stop], Awaitable[None]], *, drain_s: float) -> int:
    """Run `body` on uvloop until it returns; the exit code. SIGTERM and SIGINT set its Stop."""
    import uvloop  # noqa: PLC0415 - not needed for --help

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_supervised(body, drain_s))
    except Exception as error:
        reasons = _refusals(error)
        if reasons:
            log.critical("cannot start", extra={"reason": "; ".join(reasons)})
            return SETTINGS_ARE_WRONG
        log.critical("the process failed", exc_info=True)
        return 1
    return 0


def _refusals(error: Exception) -> list[str]:
    """What an operator has to put right, if that is all that an error says: task groups wrap it in groups."""
    if isinstance(error, ExceptionGroup):
        inside = [_refusals(one) for one in error.exceptions]
        return [reason for reasons in inside for reason in reasons] if all(inside) else []
    return [str(error)] if isinstance(error, BindError | KeySourceError | SettingsError) else []


async def _supervised(body: Callable[[Stop], Awaitable[None]], drain_s: float) -> None:
    stop = Stop(drain_s)
    loop = asyncio.get_running_loop()

    asked: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        if number != signal.SIGHUP:
            asked.append(number)
        if len(asked) > 1:
            os._exit(128 + number)
        if stop.is_set():
            return  # that a terminal is gone is told by several, and says nothing of haste
        log.info("asked to end", extra={"signal": number.name, "drain_s": drain_s})
        stop.set()
        _end_overtime(drain_s + OVERTIME_S)

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # it is under `nohup`
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    await body(stop)
    log.info("ended")


def _end_overtime(after_s: float) -> None:
    """End the process if it still lives then: from a thread, because the event loop may be what is stuck."""

    def end() -> None:
        log.critical("did not end in time", extra={"after_s": after_s})
        os._exit(1)

    timer = threading.Timer(after_s, end)
    timer.daemon = True
    timer.start()
