import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from tapedeck import ready_file
from tapedeck.errors import AlreadyRunningError
from tapedeck.up.redis_server import answers
from tapedeck.up.stack import run_stack


def events(environ):
    lines = (Path(environ["STAND_IN_NOTES"]) / "events").read_text().splitlines()
    return [json.loads(line) for line in lines]


def environs(environ):
    return [json.loads(path.read_text()) for path in Path(environ["STAND_IN_NOTES"]).glob("environ-*")]


def text_of(path):
    return Path(path).read_text()


def silent(_line):
    pass


def all_pids(ready):
    return [
        pid
        for group in (ready.pids.listen, ready.pids.pusher, ready.pids.storage_api, ready.pids.redis)
        for pid in group
    ]


async def test_everything_is_up_and_comes_again_when_it_dies_and_ends_in_order(options, environ, within):
    options = replace(options, listen_workers=2, pushers=2)
    said = []

    async def body(ready, asked):
        assert ready_file.read(options.ready_path) == ready
        assert stat.S_IMODE(options.ready_path.stat().st_mode) == 0o600
        assert (len(ready.pids.listen), len(ready.pids.pusher), len(ready.pids.storage_api)) == (2, 2, 1)
        async with httpx.AsyncClient(trust_env=False) as http:
            for address, total in ((ready.admin.listen, "3.0"), (ready.admin.storage_api, "1.5")):
                assert (await http.get(f"{address}/metrics")).text.splitlines()[
                    -1
                ] == f"tapedeck_x_total {total}"
                assert (await http.get(f"{address}/readyz")).status_code == 200
        for victims in (ready.pids.listen, ready.pids.pusher[:1], ready.pids.storage_api):
            for pid in victims:
                os.kill(pid, signal.SIGKILL)

        def again():
            now = ready_file.read(options.ready_path)
            starts = [event for event in events(environ) if event["event"] == "start"]
            return (
                len(starts) == 9
                and len(all_pids(now)) == 6
                and not set(now.pids.listen) & set(ready.pids.listen)
            )

        await within(again)
        now = ready_file.read(options.ready_path)
        assert now.pids.redis == ready.pids.redis
        assert now.pids.pusher[1] == ready.pids.pusher[1]
        assert (now.listen, now.admin, now.redis) == (ready.listen, ready.admin, ready.redis)
        asked.set()
        return 7

    assert await run_stack(options, environ, said.append, body) == 7
    assert not options.ready_path.exists()
    assert len([e for e in events(environ) if e["event"] == "term"]) == 5
    assert any("SIGKILL" in line for line in said)


async def test_children_get_their_settings(options, environ):
    seen = []

    async def body(ready, _asked):
        seen.append(ready)
        return 0

    await run_stack(options, {**environ, "TAPEDECK_CHUNK_MS": "500"}, silent, body)
    (ready,) = seen
    children = environs(environ)
    for child in children:
        assert child["TAPEDECK_AUTH"] == "dev"
        assert child["TAPEDECK_CHUNK_MS"] == "500"
        assert child["TAPEDECK_REDIS_URL"] == ready.redis
        assert child["TAPEDECK_STORE_URL"] == ready.store == f"file://{options.data_dir}/store"
        assert text_of(child["TAPEDECK_JWT_SECRET_FILE"]) == ready.jwt_secret
        assert "tapedeck-up" in text_of(child["TAPEDECK_SERVICE_TOKENS_FILE"])
    assert {c.get("TAPEDECK_PUSHER_NAME") for c in children} == {None, "pusher-1"}
    assert {c.get("TAPEDECK_LISTEN_BIND") for c in children} == {None, ready.listen.removeprefix("ws://")}
    assert {c.get("TAPEDECK_STORAGE_BIND") for c in children} == {
        None,
        ready.storage_api.removeprefix("http://"),
    }
    assert ready.console == f"{ready.storage_api}/console"


async def test_a_killed_redis_comes_back_on_its_port_with_its_data(options, environ, within):
    async def ask(port, line):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(line + b"\r\n")
        answer = await reader.readline()
        if answer.startswith(b"$"):
            answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return answer.strip()

    async def body(ready, _asked):
        port = int(ready.redis.split(":")[2].split("/")[0])
        assert await ask(port, b"SET kept yes") == b"+OK"
        (pid,) = ready.pids.redis
        os.kill(pid, signal.SIGKILL)
        await within(lambda: ready_file.read(options.ready_path).pids.redis not in ((), (pid,)))
        async with asyncio.timeout(60):
            while not await answers(port):
                await asyncio.sleep(0.01)
        assert await ask(port, b"GET kept") == b"yes"
        writer_config = await ask(port, b"CONFIG GET maxmemory-policy")
        assert writer_config == b"*2"
        return port

    first = await run_stack(options, environ, silent, body)

    async def later(ready, _asked):
        port = int(ready.redis.split(":")[2].split("/")[0])
        assert await ask(port, b"GET kept") == b"yes"
        return port

    assert await run_stack(options, environ, silent, later) == first


async def test_ports_and_secrets_are_the_same_at_the_next_start(options, environ):
    seen = []

    async def body(ready, _asked):
        seen.append(ready)
        return 0

    await run_stack(options, environ, silent, body)
    await run_stack(options, environ, silent, body)
    first, second = seen
    assert (first.listen, first.storage_api, first.admin) == (second.listen, second.storage_api, second.admin)
    assert (first.jwt_secret, first.service_token) == (second.jwt_secret, second.service_token)


async def test_a_given_redis_and_store_are_used(options, environ):
    options = replace(options, redis_url="redis://elsewhere:1/0", store="file:///x")

    async def body(ready, _asked):
        assert ready.pids.redis == ()
        assert (ready.redis, ready.store) == ("redis://elsewhere:1/0", "file:///x")
        return 0

    assert await run_stack(options, environ, silent, body) == 0


async def test_a_second_one_on_the_same_directory_is_refused(options, environ):
    async def body(_ready, _asked):
        with pytest.raises(AlreadyRunningError, match="another `tapedeck up`"):
            await run_stack(options, environ, silent, body)
        assert options.ready_path.exists()
        return 0

    assert await run_stack(options, environ, silent, body) == 0


async def test_a_ready_file_that_cannot_be_kept_true_ends_nothing(options, environ, within):
    said = []

    async def body(ready, asked):
        options.ready_path.unlink()
        options.ready_path.mkdir()
        (pid,) = ready.pids.pusher
        os.kill(pid, signal.SIGKILL)
        await within(lambda: any("is out of date" in line for line in said))
        asked.set()
        return 7

    assert await run_stack(options, environ, said.append, body) == 7
    assert "stays, and nothing runs any more" in said[-1]
    assert not any(psutil.pid_exists(event["pid"]) for event in events(environ))


async def test_a_service_that_has_worked_is_started_again_whatever_it_ends_with(options, environ, within):
    async def body(ready, asked):
        (pid,) = ready.pids.storage_api
        os.kill(pid, signal.SIGUSR1)  # the stand-in ends as for wrong settings
        await within(lambda: ready_file.read(options.ready_path).pids.storage_api not in ((), (pid,)))
        asked.set()
        return 0

    said = []
    assert await run_stack(options, environ, said.append, body) == 0
    assert any("storage-api ended with exit code 2; starting it again" in line for line in said)


async def test_what_is_waited_for_is_told_without_a_former_runs_words(options, environ, monkeypatch, within):
    monkeypatch.setattr("tapedeck.up.stack.TELL_AFTER_S", 0.2)
    logs = options.data_dir / "logs"
    logs.mkdir(parents=True)
    (logs / "listen-1.log").write_text("what a former run said\n")
    said = []
    running = asyncio.create_task(
        run_stack(options, {**environ, "STAND_IN_MUTE": "TAPEDECK_LISTEN_BIND"}, said.append, None)
    )
    await within(lambda: any("not ready yet" in line for line in said))
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0
    assert not any("former run" in line for line in said)


async def test_a_child_that_does_not_end_is_killed_at_the_deadline(options, environ, monkeypatch):
    monkeypatch.setattr("tapedeck.up.stack.GRACE_S", 0.2)
    said = []

    async def body(ready, _asked):
        return ready.pids.pusher[0]

    stubborn = {**environ, "STAND_IN_STUBBORN": "1", "TAPEDECK_DRAIN_SECONDS": "0.2"}
    pid = await run_stack(options, stubborn, said.append, body)
    assert not psutil.pid_exists(pid)
    assert any("did not end within" in line for line in said)


PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from rich.console import Console
from tapedeck.up.command import up
from tapedeck.up.child import GIVEN_UP_AFTER
from tapedeck.up.plan import UpOptions
modules = dict.fromkeys(("listen", "pusher", "storage_api"), "stand_in_service")
sys.exit(up(UpOptions(Path(sys.argv[1]), 0, 0, modules=modules), Console(stderr=True)))
"""


def start_program(options, environ):
    with (options.data_dir.parent / "up.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(options.data_dir)], env=environ, stderr=log
        )


@pytest.fixture
async def program(options, environ, within):
    process = start_program(options, environ)
    await within(options.ready_path.exists)
    yield process
    process.kill()
    process.wait()


async def test_programs_are_told_where_everything_is(options, environ):
    command = [
        sys.executable,
        "-c",
        PROGRAM.replace("stderr=True)", "stderr=True), json=True"),
        str(options.data_dir),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    said = json.loads(await process.stdout.readline())
    ready = ready_file.read(options.ready_path)
    assert (said["listen"], said["redis"], said["pids"]["pusher"]) == (
        ready.listen,
        ready.redis,
        list(ready.pids.pusher),
    )
    assert ready.jwt_secret not in str(said)
    process.terminate()
    assert (await process.communicate())[0] == b""
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_no_child_outlives_a_killed_parent_and_the_next_start_works(program, options, environ, within):
    pids = all_pids(ready_file.read(options.ready_path))
    assert len(pids) == 4
    program.kill()
    program.wait()
    await within(lambda: not any(psutil.pid_exists(pid) for pid in pids))

    async def body(_ready, _asked):
        return 0

    assert await run_stack(options, environ, silent, body) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it(program, options, within, number):
    pids = all_pids(ready_file.read(options.ready_path))
    program.send_signal(number)
    await within(lambda: program.poll() is not None)
    assert program.returncode == 0
    assert not options.ready_path.exists()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    log = (options.data_dir.parent / "up.log").read_text()
    assert "Tapedeck is running" in log
