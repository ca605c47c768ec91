"""Lets fake-gcs-server take what obstore sends: uploads by Google's XML interface.

The server knows those only as signed addresses, and without their preconditions: nothing but time can be measured here. Run as `python -m bench.xml_line PORT SERVER_PORT`: passes bytes on both ways, and adds to the address of each PUT what the server looks for. Both
libraries go through it, so it costs both the same, and it is another process than the ones that are measured.
"""

import asyncio
import sys

_END = b" HTTP/1.1\r\n"
_OK = b"HTTP/1.1 200 OK\r\n"
_ETAG = b'ETag: "0"\r\n'
_SIGNED = b"?X-Goog-Algorithm=none"


async def up(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Requests: head by head, body by its length."""
    try:
        while True:
            head = await source.readuntil(b"\r\n\r\n")
            if head.startswith(b"PUT "):
                head = head.replace(_END, _SIGNED + _END, 1)
            target.write(head)
            left = _length(head)
            while left:
                data = await source.read(min(left, 65536))
                left -= len(data)
                target.write(data)
                await target.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        target.close()


async def down(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Answers, with the ETag that Google gives and this server leaves out."""
    try:
        while data := await source.read(65536):
            target.write(data.replace(_OK, _OK + _ETAG, 1) if data.startswith(_OK) else data)
            await target.drain()
    except ConnectionError:
        pass
    target.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def main(port: int, server_port: int) -> None:
    """Serve until the process is ended."""

    async def serve(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", server_port)
        await asyncio.gather(up(source, requests), down(answers, target))

    async with await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
