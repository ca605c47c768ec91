"""The pool of connections to one server: one that lies free is handed over at once.

redis-py's own takes a lock, a timer and three coroutines for that, and as many to take it back: half of what a short command costs. Where
somebody has to wait, all goes redis-py's way. Owns no rule of what a connection that is handed over must be: that is redis-py's.
"""

from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Connection


class PromptPool(BlockingConnectionPool):
    """redis-py's pool that waits for a connection while all are in use."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """As redis-py's."""
        super().__init__(*args, **options)
        self._asking = 0
        """So many ask for a connection redis-py's way: until they have it, others take their turn there too, and what comes back is told of."""

    async def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connection that is open, and on which nothing has come that belongs to a command before.

        Raises:
            redis.exceptions.ConnectionError: none became free in time, or it could not be opened.
        """
        untyped = cast("Any", super())
        if self._asking or not self._available_connections:
            self._asking += 1
            try:
                return await untyped.get_connection(*args, **options)
            finally:
                self._asking -= 1
        connection: Connection = untyped.get_available_connection()
        try:
            # Nothing of this waits for anything where the connection is as it should be.
            if not connection.is_connected or await cast("Any", connection).can_read():
                await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        """Takes a connection back, whatever has become of it."""
        if self._asking or connection.should_reconnect():
            await super().release(connection)
            return
        self._in_use_connections.remove(connection)
        self._available_connections.append(connection)
