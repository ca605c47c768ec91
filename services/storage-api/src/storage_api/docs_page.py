"""`/openapi.json`, and `/docs`, where a browser shows it. No asset comes from elsewhere: Swagger UI's files lie in a wheel.

Both are open: they say what is in the source, and nothing of anybody's.
"""

import asyncio
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from servicekit.problem import ProblemError

ASSETS: Final = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
START: Final = "start.js"
_HEADERS: Final = {
    # Swagger UI styles its elements one by one, and draws its arrows from data URLs.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Relative names: a proxy's prefix stays.
_PAGE: Final = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tapedeck storage API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> does not.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/{START}"></script>
</body>
</html>
"""
_START: Final = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
});
"""


async def openapi_json(request: Request) -> Response:
    """The description of this very app."""
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return Response(request.app.state.openapi, 200, headers, "application/json")


async def docs(_request: Request) -> Response:
    """The page."""
    return Response(_PAGE, 200, {**_HEADERS, "Cache-Control": "no-cache"}, "text/html")


async def docs_file(request: Request) -> Response:
    """What the page needs. ProblemError 404 for all else."""
    name = request.path_params["file"]
    headers = {**_HEADERS, "Cache-Control": "public, max-age=3600"}
    if name == START:
        return Response(_START, 200, headers, "text/javascript")
    if name not in ASSETS:
        raise ProblemError(404, "not_found", "the page has no such file")
    content = await asyncio.to_thread(_assets().joinpath(name).read_bytes)
    return Response(content, 200, headers, ASSETS[name])


@cache
def _assets() -> Traversable:
    return files("openapi_ui_bundles.swagger_ui") / "vendor"
