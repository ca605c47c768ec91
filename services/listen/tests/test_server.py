"""The listening socket: several processes on one port, and open files."""

import asyncio
import resource
import socket
import subprocess
import sys
from contextlib import AsyncExitStack

import pytest

from tapedeck_testing.free_ports import free_port

FILES = 64


async def test_two_processes_share_a_port_and_each_gets_sockets(make_service, sign):
    port = str(free_port())
    bind = {"TAPEDECK_LISTEN_BIND": f"127.0.0.1:{port}", "TAPEDECK_MAX_SOCKETS_PER_USER": "100"}
    first, second = make_service(**bind), make_service(**bind)
    for service in (first, second):
        service.port = int(port)
    async with first.process(), second.process():
        sockets = []
        try:
            for _ in range(40):
                opening = first.connect()
                sockets.append((opening, await opening.__aenter__()))
            for _, client in sockets:
                await client.hear("ready")
            counts = [(await service.metrics())["tapedeck_connections"] for service in (first, second)]
            assert sum(counts) == 40
            assert min(counts) > 0
        finally:
            for opening, _ in sockets:
                await opening.__aexit__(None, None, None)
    await first.bus.close()
    await second.bus.close()


async def test_while_a_process_drains_newcomers_come_to_its_neighbour(make_service, sign):
    port = free_port()
    bind = {"TAPEDECK_LISTEN_BIND": f"127.0.0.1:{port}", "TAPEDECK_MAX_SOCKETS_PER_USER": "1000"}
    first, second = make_service(**bind), make_service(**bind)
    for service in (first, second):
        service.port = port
    upgrade = (
        "GET /v4/listen HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Sec-WebSocket-Protocol: tapedeck.v1\r\nAuthorization: Bearer {sign()}\r\n\r\n"
    )
    async with first.process() as ending, second.process(), AsyncExitStack() as lines:

        async def come() -> tuple[bytes, asyncio.StreamReader]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            lines.callback(writer.close)
            writer.write(upgrade.encode())
            return await reader.readline(), reader

        async with asyncio.timeout(60):
            readers = []
            while len(readers) < 20 or not (await first.metrics())["tapedeck_connections"]:
                status, reader = await come()
                assert status.startswith(b"HTTP/1.1 101 ")
                readers.append(reader)
            ending.terminate()  # none of its clients answers its close: it takes its time
            told = [asyncio.create_task(reader.readuntil(b"going_away")) for reader in readers]
            await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
            for task in told:
                task.cancel()
            await asyncio.wait(told)
            for _ in range(40):
                status, _ = await come()
                assert status.startswith(b"HTTP/1.1 101 ")
            assert await ending.wait() == 0
    await first.bus.close()
    await second.bus.close()


async def test_who_waits_to_be_accepted_when_the_port_is_shut_is_answered(make_service):
    async with make_service().here() as service:
        # In one go, so that the server, which runs on this loop, can accept none of them meanwhile.
        waiting = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(100)]
        for client in waiting:
            client.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        service.stop.set()
        async with asyncio.timeout(60):
            for client in waiting:
                reader, writer = await asyncio.open_connection(sock=client)
                assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
                writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", service.port)


async def test_as_many_files_as_the_system_allows():
    program = (
        "import resource; from listen.server import _raise_open_files;"
        "_, hard = resource.getrlimit(resource.RLIMIT_NOFILE);"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, hard)); _raise_open_files();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    answer = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert int(answer.stdout) == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
