"""The web console's static files, under `/console/`.

They are written in clients/web/console and need no build. An installed wheel carries them inside the package (see hatch_build.py); in a
source tree they are served from where they are written.
"""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_PACKAGED: Final = Path(__file__).parent / "console_files"
_LEVELS_UP: Final = 4  # src/storage_api/ in services/storage-api/ in the source tree

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; connect-src 'self' ws: wss:; "
        "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def console_folder() -> Path | None:
    """Where the files are; None where there are none."""
    source = Path(__file__).resolve().parents[_LEVELS_UP] / "clients" / "web" / "console"
    return next((folder for folder in (_PACKAGED, source) if (folder / "index.html").is_file()), None)


async def to_console(_request: Request) -> Response:
    """`/console` to `/console/`, from where the page's own relative names lead to its files; relative, so that a proxy's prefix stays."""
    return Response(status_code=308, headers={"Location": "console/"})


class ConsoleFiles(StaticFiles):
    """Static files with the headers that keep a page which handles tokens to itself."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with SECURITY_HEADERS."""
        response = await super().get_response(path, scope)
        response.headers.update(SECURITY_HEADERS)
        return response
