"""What the operating system says of a process, and signals to it. Everything that may be gone in between is answered, not raised."""

import contextlib
import os
import signal
import time

import psutil  # type: ignore[import-untyped]  # it ships no types


def alive(pid: int) -> bool:
    """Whether it runs, be it stopped; a zombie does not."""
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def until_stopped(pid: int, within_s: float = 5.0) -> None:
    """Returns when a process that was sent SIGSTOP stands still. TimeoutError."""
    deadline = time.monotonic() + within_s
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not stop")
        time.sleep(0.002)


def name_of(pid: int) -> str:
    """How a pusher calls itself in leases; empty where the process is gone."""
    with contextlib.suppress(psutil.Error):
        environ: dict[str, str] = psutil.Process(pid).environ()
        return environ.get("TAPEDECK_PUSHER_NAME", "")
    return ""


def ports_of(pid: int) -> set[int]:
    """Its own ports of connections that it has opened, or that were opened to it."""
    with contextlib.suppress(psutil.Error):
        return {one.laddr.port for one in psutil.Process(pid).net_connections("tcp") if one.raddr}
    return set()


def clients_of(pid: int, port: int) -> int:
    """How many clients a process has at a port."""
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(pid).net_connections("tcp")
        return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in found)
    return 0


def send(pid: int, number: signal.Signals) -> bool:
    """Signals a process; False where it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
