"""How commands are packed, and what of redis-py's own packing must stay."""

import pytest
from redis.asyncio import Connection

from audiobus.connection import PackingConnection


@pytest.mark.parametrize(
    "command",
    [
        ("PING",),
        (b"PING",),
        ("CONFIG GET", "maxmemory"),
        (b"SCRIPT LOAD", "return 1"),
        ("EVALSHA", "0" * 40, 1, "td:conv:{ü/ö}", b"\x00\r\n\xff", -5, 1.5, ""),
        ("XADD", "key", "1-1", "c", bytes(100_000)),
    ],
)
async def test_hiredis_packs_what_redis_py_would(command):
    expected = b"".join(Connection().pack_command(*command))
    assert b"".join(PackingConnection().pack_command(*command)) == expected
