"""Random commands, drawn so that they often meet: few keys, few fields, few ids.

Owns what is drawn: the same seed draws the same sequence.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

Command: TypeAlias = list[bytes | str | int]

FUTURE: Final = 4_000_000_000_000
"""An id with these ms lies above every clock's: what follows with `*` differs in the sequence alone."""
_KEYS: Final = [f"k{n}" for n in range(6)]
_FIELDS: Final = ["", "a", "b", "newest", "n"]
_VALUES: Final = [
    *("", "x", "7", "-3", "5-20", "1.5", "text with spaces", b"\x00\xff\r\n"),
    *("9223372036854775807", " 1", "07"),
]
_IDS: Final = ["5-0", "5-10", "5-20", "5-30", "6-0", "6-10", "7", "5-21", f"{FUTURE}-0"]
_BAD_IDS: Final = [
    *("0-0", "-1", "x", "5-", "-", "+", "(5-10", "5-*"),
    "18446744073709551615-18446744073709551615",
]
_SCORES: Final = ["1", "2", "2.5", "-1", "1e3", "inf", "-inf", "x", "(2", "100000"]
_INTEGERS: Final = ["0", "1", "2", "10", "-1", "x", "-2"]
_GROUPS: Final = ["g", "h"]
_CONSUMERS: Final = ["c1", "c2"]


class Draw:
    """Commands from a seed."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._kinds: list[Callable[[], Command]] = [
            *[self._string, self._hash, self._sorted_set, self._stream, self._group] * 3,
            self._group,
            self._set,
            self._key,
            self._eval,
        ]

    def commands(self, count: int) -> list[Command]:
        """So many plain commands, one in twenty with a word too many or too few."""
        drawn: list[Command] = []
        for _ in range(count):
            command = self._dice.choice(self._kinds)()
            if command[0] != "CONFIG" and self._chance(0.03):
                command.append(self._one(_INTEGERS))
            if command[0] != "CONFIG" and self._chance(0.02):
                command.pop()
            drawn.append(command)
        return drawn

    def _one(self, words: Sequence[Any]) -> Any:
        return self._dice.choice(words)

    def _any(self, commands: list[Command]) -> Command:
        return self._dice.choice(commands)

    def _some(self, words: Sequence[Any], most: int = 3) -> list[Any]:
        return [self._one(words) for _ in range(self._dice.randint(1, most))]

    def _chance(self, share: float) -> bool:
        return self._dice.random() < share

    def _maybe(self, *words: Any, share: float = 0.3) -> list[Any]:
        return [*words] if self._chance(share) else []

    def _id(self) -> str:
        if self._chance(0.1):
            return str(self._one(_BAD_IDS))
        return str(self._one(_IDS))

    def _string(self) -> Command:
        key, value = self._one(_KEYS[:3]), self._one(_VALUES)
        limit = self._maybe(self._one(["EX", "PX", "px"]), self._one(["100000", "0", "x", "99999999"]))
        option = self._maybe(self._one(["NX", "XX", "GET", "KEEPTTL"]))
        return self._any(
            [
                ["SET", key, value, *limit, *option],
                ["SET", key, value],
                ["GET", key],
                ["GETDEL", key],
                ["INCR", key],
                ["INCRBY", key, self._one(_VALUES)],
                ["DECRBY", key, self._one(_INTEGERS)],
                ["MGET", *self._some(_KEYS)],
                ["STRLEN", key],
            ]
        )

    def _hash(self) -> Command:
        key, field, value = self._one(_KEYS[1:4]), self._one(_FIELDS), self._one(_VALUES)
        pairs = [
            word for _ in range(self._dice.randint(1, 3)) for word in (self._one(_FIELDS), self._one(_VALUES))
        ]
        return self._any(
            [
                ["HSET", key, *pairs],
                ["HSET", key, field, value],
                ["HSETNX", key, field, value],
                ["HMSET", key, *pairs],
                ["HGET", key, field],
                ["HMGET", key, *self._some(_FIELDS)],
                ["HGETALL", key],
                ["HKEYS", key],
                ["HVALS", key],
                ["HLEN", key],
                ["HEXISTS", key, field],
                ["HDEL", key, *self._some(_FIELDS)],
                ["HINCRBY", key, field, self._one(_VALUES)],
                [
                    "HSCAN",
                    key,
                    "0",
                    *self._maybe("MATCH", "*e*"),
                    *self._maybe("COUNT", self._one(["100", "0"])),
                ],
            ]
        )

    def _set(self) -> Command:
        key = self._one(_KEYS[:2])
        return self._any(
            [
                ["SADD", key, *self._some(_FIELDS)],
                ["SREM", key, *self._some(_FIELDS)],
                ["SCARD", key],
                ["SISMEMBER", key, self._one(_FIELDS)],
                ["SMEMBERS", key],
            ]
        )

    def _sorted_set(self) -> Command:
        key, member = self._one(_KEYS[2:5]), self._one(_FIELDS)
        low, high = self._one(_SCORES), self._one(_SCORES)
        pairs = [
            word for _ in range(self._dice.randint(1, 3)) for word in (self._one(_SCORES), self._one(_FIELDS))
        ]
        limit = self._maybe("LIMIT", self._one(_INTEGERS), self._one(_INTEGERS))
        scores = self._maybe("WITHSCORES")
        flags = [flag for flag in ("NX", "XX", "LT", "GT", "CH") if self._chance(0.12)]
        first, last = self._one(_INTEGERS), self._one(_INTEGERS)
        return self._any(
            [
                ["ZADD", key, *pairs],
                ["ZADD", key, *flags, *self._maybe("INCR", share=0.1), *pairs],
                ["ZADD", key, *flags, *pairs[:2]],
                ["ZREM", key, *self._some(_FIELDS)],
                ["ZSCORE", key, member],
                ["ZCARD", key],
                ["ZCOUNT", key, low, high],
                ["ZRANGE", key, first, last, *self._maybe("REV"), *scores],
                ["ZRANGE", key, low, high, "BYSCORE", *self._maybe("REV"), *limit, *scores],
                ["ZRANGE", key, first, last, *limit],
                ["ZREVRANGE", key, first, last, *scores],
                ["ZRANGEBYSCORE", key, low, high, *scores, *limit],
                ["ZREVRANGEBYSCORE", key, high, low, *scores, *limit],
                ["ZREMRANGEBYSCORE", key, low, high],
                ["ZPOPMIN", key, *self._maybe(self._one(_INTEGERS))],
            ]
        )

    def _stream(self) -> Command:
        key, at, value = self._one(_KEYS[3:]), self._id(), self._one(_VALUES)
        low = self._one(["-", "5-0", "5-10", "(5-10", "6", self._id()])
        high = self._one(["+", "6-0", "(6-0", "6", self._id()])
        count = self._maybe("COUNT", self._one(_INTEGERS))
        trim = [
            self._one(["MINID", "MAXLEN"]),
            *self._maybe("=", share=0.6),
            self._one(["5-10", "6", "2", "x", "0"]),
        ]
        return self._any(
            [
                ["XADD", key, self._one(_IDS), "c", value],
                ["XADD", key, at, "c", value, *self._maybe("d")],
                [
                    "XADD",
                    key,
                    *self._maybe("NOMKSTREAM"),
                    *(trim if self._chance(0.2) else []),
                    at,
                    "c",
                    value,
                ],
                ["XADD", key, f"{FUTURE}-{self._dice.randint(0, 9)}", "o", value],
                ["XRANGE", key, low, high, *count],
                ["XREVRANGE", key, high, low, *count],
                ["XLEN", key],
                ["XDEL", key, *[self._id() for _ in range(self._dice.randint(1, 3))]],
                ["XTRIM", key, *trim],
                ["XINFO", "STREAM", key],
                ["XINFO", self._one(["GROUPS", "nothing"]), key],
            ]
        )

    def _group(self) -> Command:
        key, group, consumer = self._one(_KEYS[4:]), self._one(_GROUPS), self._one(_CONSUMERS)
        count = self._maybe("COUNT", self._one(_INTEGERS), share=0.5)
        read = ["XREADGROUP", "GROUP", group, consumer, *count, *self._maybe("NOACK", share=0.1), "STREAMS"]
        idle = self._one(["0", "0", "99999999", "-5", "x"])
        return self._any(
            [
                [
                    "XGROUP",
                    "CREATE",
                    key,
                    group,
                    self._one(["0", "$", self._id()]),
                    *self._maybe("MKSTREAM", share=0.7),
                ],
                ["XGROUP", "CREATE", key, group, "0", "MKSTREAM"],
                ["XGROUP", self._one(["CREATECONSUMER", "DELCONSUMER"]), key, group, consumer],
                ["XGROUP", "SETID", key, group, self._id()],
                ["XGROUP", "DESTROY", key, group] if self._chance(0.3) else ["XLEN", key],
                [*read, key, ">"],
                [*read, key, ">"],
                [*read, key, self._one(["0", "5-0", "0-0", "x"])],
                [*read, *self._some(_KEYS[4:], 1), key, ">", "0"],
                ["XACK", key, group, *[self._id() for _ in range(self._dice.randint(1, 3))]],
                ["XAUTOCLAIM", key, group, consumer, idle, self._one(["0-0", "-", "5-10", "x"]), *count],
                ["XAUTOCLAIM", key, group, consumer, "0", "0", *count, *self._maybe("JUSTID")],
                ["XPENDING", key, group],
                ["XPENDING", key, group, "-", "+", self._one(_INTEGERS), *self._maybe(consumer)],
                ["XINFO", "CONSUMERS", key, group],
            ]
        )

    def _key(self) -> Command:
        key = self._one(_KEYS)
        when = self._one(["100000", "-1", "x", "99999999999999999"])
        return self._any(
            [
                ["DEL", *self._some(_KEYS)],
                ["EXISTS", *self._some(_KEYS)],
                ["TYPE", key],
                ["EXPIRE", key, when, *self._maybe(self._one(["NX", "XX", "GT", "LT", "no"]))],
                ["PEXPIRE", key, when],
                ["PEXPIREAT", key, self._one(["1", str(FUTURE)])],
                ["PERSIST", key],
                ["PTTL", key],
                ["TTL", key],
                ["KEYS", self._one(["*", "k[1-3]", "k?", "k[^1]", "\\k1", "none"])],
                ["SCAN", "0", "COUNT", "1000", *self._maybe("TYPE", self._one(["stream", "hash", "x"]))],
                ["NOSUCHCOMMAND", key, "x"],
                ["CONFIG", "SET", "maxmemory", self._one(["1", "0", "0"])],
                ["CONFIG", "SET", "maxmemory", "0"],
            ]
        )

    def _eval(self) -> Command:
        # Any of the above, from a script: what replies become in Lua and on the way back.
        inner = self._one(self._kinds[:15])()
        call = self._one(
            [
                "local answer = redis.call(unpack(ARGV)) return answer",
                "local answer = redis.pcall(unpack(ARGV)) return answer",
                "local answer = redis.pcall(unpack(ARGV)) return {type(answer), answer}",
                "local answer = redis.pcall(unpack(ARGV)) if type(answer) == 'table' then return #answer end return {answer}",
            ]
        )
        return ["EVAL", call, "0", *inner]
