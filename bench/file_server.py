"""The baseline of downloads: Starlette's file response on the very server, with the very settings, that storage-api stands on.

Run as `python -m bench.file_server PORT FOLDER`.
"""

import sys

import uvloop
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from servicekit.bind import Bind, bind_socket
from servicekit.http import serve
from servicekit.stop import Stop


async def run(port: int, folder: str) -> None:
    """Serve the folder until the process is ended."""
    app = Starlette(routes=[Mount("/", StaticFiles(directory=folder))])
    await serve(app, bind_socket(Bind("127.0.0.1", port)), Stop(1.0))


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]), sys.argv[2]))
