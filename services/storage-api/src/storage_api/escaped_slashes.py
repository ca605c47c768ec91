"""An escaped slash stays in the name that it is written in (RFC 3986 §2.2, §3.3): `/conversations/a%2Faudio` is no `/conversations/a/audio`.

ASGI servers unescape the whole path before it is routed. Whoever escapes an id properly, and deletes the conversation that is called so, must not
delete another one's audio by it. Owns that alone: ids with a slash are refused where ids are checked.
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

_ESCAPED_SLASH: Final = re.compile(rb"%2f", re.IGNORECASE)


class EscapedSlashes:
    """ASGI middleware: routes by a path in which escaped slashes are still escaped."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; everything else passes."""
        raw = scope.get("raw_path") if scope["type"] == "http" else None
        if raw and _ESCAPED_SLASH.search(raw):
            kept = unquote_to_bytes(_ESCAPED_SLASH.sub(b"%252F", raw))
            scope = {**scope, "path": kept.decode(errors="replace")}
        await self._app(scope, receive, send)
