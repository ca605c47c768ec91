"""The connections of Google's client library, so that a thread is never lost to one.

Owns how a request is broken off, and that its connection goes back to its pool. requests knows a longest silence only: an answer that
comes byte by byte may take hours, and one that the library breaks on is left open, with its place in the pool.
"""

from __future__ import annotations

import functools
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from audiostore.threads import under_way

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from audiostore.threads import Call


class _Line(HTTPConnection):
    """A connection that whoever gives up the call it is used for can shut."""

    _call: Call | None = None

    def connect(self) -> None:
        self._used()
        super().connect()
        self._used()  # it may have been given up meanwhile, when there was nothing to shut

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._used()
        super().request(*args, **kwargs)

    def _used(self) -> None:
        self._call = call = under_way()
        if call is not None:
            call.broken_off_by(functools.partial(self._shut, call))

    def _shut(self, call: Call) -> None:
        """From another thread. Its own then reads the end of the answer. Nothing where another call has it by now."""
        line = self.sock
        if self._call is call and isinstance(line, socket.socket):
            with suppress(OSError):
                socket.socket.shutdown(
                    line, socket.SHUT_RDWR
                )  # TLS is told nothing: its objects are one thread's


class _SecureLine(_Line, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Line


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureLine


_POOLS = {"http": _Pool, "https": _SecurePool}


class Lines(HTTPAdapter):
    """What requests takes its connections from."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """See HTTPAdapter."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """See HTTPAdapter. The answer is closed with the call, however much of it was read."""
        response = super().send(request, *args, **kwargs)
        call = under_way()
        if call is not None:
            call.closes(response.close)
        return response
