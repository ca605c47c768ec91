"""The listening socket: several processes on one port, and open files."""

import asyncio
import resource
import subprocess
import sys

from tapedeck_testing.redis_process import free_port

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
