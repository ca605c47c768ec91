import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager

import httpx
import pytest

PROGRAM = """
import asyncio, logging, sys, time
import msgspec
from servicekit.groups import AdminSettings, ProcessSettings
from servicekit.process import main

class Settings(msgspec.Struct, frozen=True, kw_only=True):
    admin: AdminSettings
    process: ProcessSettings

async def start(settings, stop):
    from servicekit.admin import serve_admin
    from servicekit.bind import bind_socket, bound_to
    from servicekit.health import Health
    from servicekit.metrics import Metrics
    health = Health()
    bound = bind_socket(settings.admin.bind)
    url = bound_to(bound).url()
    async with serve_admin(bound, health, Metrics("demo", "1")):
        logging.getLogger("demo").info("serving", extra={"url": url, "loop": type(asyncio.get_running_loop()).__module__})
        MODE
        await stop.wait()
        health.drain()

main("demo", Settings, start)
"""


@pytest.fixture
def program(tmp_path):
    """`async with program(mode, **environ) as running:` a service of our own, in a process of its own."""

    @asynccontextmanager
    async def run(mode="", *arguments, **environ):
        path = tmp_path / "demo.py"
        path.write_text(PROGRAM.replace("MODE", mode))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(path),
            *arguments,
            env={"PATH": os.environ["PATH"], "TAPEDECK_ADMIN_BIND": "127.0.0.1:0", **environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return run


async def line(process, message):
    """The next log line with this message."""
    async for raw in process.stdout:
        found = json.loads(raw)
        if found["message"] == message:
            return found
    raise AssertionError(f"no line says {message!r}: {(await process.stderr.read()).decode()}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_it_serves_until_it_is_asked_to_end(program, number):
    async with program() as process:
        serving = await line(process, "serving")
        assert serving["loop"].startswith("uvloop")
        async with httpx.AsyncClient() as client:
            assert (await client.get(serving["url"] + "/readyz")).status_code == 200
        process.send_signal(number)
        assert (await line(process, "asked to end"))["signal"] == number.name
        assert await line(process, "ended")
        assert await process.wait() == 0
        assert await process.stderr.read() == b""


async def test_that_a_terminal_is_gone_may_be_told_by_several(program):
    """A shell, the kernel, and whoever supervises it with SIGTERM."""
    async with program("await stop.wait(); await asyncio.sleep(2)") as process:
        await line(process, "serving")
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            process.send_signal(number)
        assert await line(process, "ended")
        assert await process.wait() == 0


async def test_a_second_signal_ends_it_at_once(program):
    async with program("await asyncio.Event().wait()") as process:
        await line(process, "serving")
        process.send_signal(signal.SIGTERM)
        await line(process, "asked to end")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 128 + signal.SIGTERM


async def test_who_does_not_end_in_time_is_ended_even_with_a_stuck_loop(program):
    mode = "await stop.wait(); time.sleep(60)"
    async with program(mode, TAPEDECK_DRAIN_SECONDS="0") as process:
        await line(process, "serving")
        process.send_signal(signal.SIGTERM)
        assert (await line(process, "did not end in time"))["severity"] == "CRITICAL"
        assert await process.wait() == 1


async def test_a_failure_is_logged_and_told(program):
    async with program("raise KeyError('broken')") as process:
        failed = await line(process, "the process failed")
        assert "KeyError: 'broken'" in failed["exception"]
        assert await process.wait() == 1


async def test_wrong_settings(program):
    async with program(TAPEDECK_ADMIN_BIND="nowhere", TAPEDECK_DRAIN_SECONDS="long") as process:
        assert await process.wait() == 2
        report = (await process.stderr.read()).decode()
        assert report.startswith("demo: settings are wrong:\n  TAPEDECK_ADMIN_BIND must be host:port")
        assert "TAPEDECK_DRAIN_SECONDS must be a number" in report


async def test_an_address_that_is_taken(program, bound):
    with bound:
        bound.listen()
        async with program(TAPEDECK_ADMIN_BIND=f"127.0.0.1:{bound.getsockname()[1]}") as process:
            failed = await line(process, "cannot start")
            assert "cannot listen on" in failed["reason"]
            assert await process.wait() == 2


async def test_a_refusal_inside_of_task_groups(program):
    mode = "from pathlib import Path; from servicekit.service_tokens import ServiceTokens; ServiceTokens(Path('/nowhere/tokens'))"
    async with program(mode) as process:
        failed = await line(process, "cannot start")
        assert "cannot read the service tokens in /nowhere/tokens" in failed["reason"]
        assert await process.wait() == 2


async def test_help(program):
    async with program("", "--help") as process:
        shown = (await process.stdout.read()).decode()
        assert "usage: python -m demo" in shown
        assert "TAPEDECK_ADMIN_BIND" in shown
        assert await process.wait() == 0
    async with program("", "--port=5") as process:
        assert await process.wait() == 2


async def test_a_check_reads_the_settings_and_starts_nothing(program):
    async with program("", "--check") as running:
        assert await running.communicate() == (b"", b"")
        assert running.returncode == 0
    async with program("", "--check", TAPEDECK_ADMIN_BIND="nowhere", TAPEDECK_DRAIN_SECONDS="x") as running:
        out, err = await running.communicate()
        assert (out, running.returncode) == (b"", 2)
        assert b"TAPEDECK_ADMIN_BIND" in err
        assert b"TAPEDECK_DRAIN_SECONDS" in err
