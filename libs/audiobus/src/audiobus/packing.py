"""How commands are packed and sent: what redis-py's asynchronous client does slower than it must, or loses.

hiredis packs, as it does in redis-py's own blocking client, in a tenth of the time that Python takes. And a command is written by whoever sends it:
redis-py has `asyncio.wait_for` make a task for each, and on Python 3.11 that loses the sender's cancellation where the task ends just then.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import hiredis
from redis import exceptions as redis_errors
from redis.asyncio import Connection


class PackingConnection(Connection):
    """A connection whose commands hiredis packs."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """The command as RESP. Its name may have two words (`SCRIPT LOAD`), each a part of its own on the wire."""
        name, *rest = args
        words = name.split() if isinstance(name, bytes) else name.encode().split()
        return [hiredis.pack_command((*words, *rest))]

    async def send_packed_command(
        self,
        command: bytes | str | Iterable[bytes],
        check_health: bool = True,  # noqa: FBT001, FBT002 - redis-py's own signature
    ) -> None:
        """Writes the commands; whatever fails closes the connection, for it is not known what of them went out.

        Raises:
            redis.exceptions.TimeoutError: nobody took them for too long.
            redis.exceptions.ConnectionError: the connection is gone.
        """
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await cast("Any", self).check_health()
        pieces = [command.encode()] if isinstance(command, str) else command
        writer = cast("asyncio.StreamWriter", self._writer)  # it is connected
        try:
            writer.writelines([pieces] if isinstance(pieces, bytes) else pieces)
            async with asyncio.timeout(self.socket_timeout):
                await writer.drain()
        except TimeoutError as error:
            await self.disconnect(nowait=True)
            raise redis_errors.TimeoutError("Timeout writing to socket") from error
        except OSError as error:
            await self.disconnect(nowait=True)
            raise redis_errors.ConnectionError(f"Error while writing to socket: {error}") from error
        except BaseException:
            await self.disconnect(nowait=True)
            raise
