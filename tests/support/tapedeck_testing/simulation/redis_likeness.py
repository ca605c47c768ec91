"""What of a reply two servers need not agree on: times, the name of their history, the order of a large hash, the shape of a tree.

Owns nothing else: whatever is left must be the same.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from redis import exceptions as redis_errors

from tapedeck_testing.simulation.redis_sequences import Command

_HISTORY: Final = re.compile(rb"[0-9a-f]{40}")
_LINE: Final = re.compile(r"(@user_script:)\d+\.")


def alike(command: Command, reply: Any) -> Any:
    """The reply without what two servers need not agree on."""
    if isinstance(reply, redis_errors.RedisError):
        # A call in tail position has no line of its own in the model.
        return (type(reply).__name__, _LINE.sub(r"\1?", str(reply)))
    name = str(command[0])
    if name == "EVAL" and command[2] == "0":
        loose = command[3:] and command[3] in _LOOSE
        return None if loose else [str(one) if isinstance(one, Exception) else one for one in _listed(reply)]
    if name in ("EVAL", "EVALSHA") and isinstance(reply, list):
        return [_nameless(one) for one in reply]
    if name in _LOOSE and isinstance(reply, list | int):
        return _LOOSE[name](command, reply)
    return reply


def _nameless(part: Any) -> Any:
    """What a script answers, without what each server calls its history."""
    return "a history" if isinstance(part, bytes) and _HISTORY.fullmatch(part) else part


def _listed(reply: Any) -> list[Any]:
    return reply if isinstance(reply, list) else [reply]


def _unordered(_command: Command, reply: Any) -> Any:
    flat = [word for one in _listed(reply) for word in _listed(one)]
    return sorted(flat, key=repr)


def _timeless(_command: Command, reply: Any) -> Any:
    """XPENDING without how long ago each was delivered."""
    if reply and isinstance(reply[0], list):
        return [[one[0], one[1], one[3]] for one in reply]
    return reply


def _told(command: Command, reply: Any) -> Any:
    """XINFO without what speaks of the inside, and without consumers that hold nothing: when they come to be changed in 7.2."""
    if reply and isinstance(reply[0], bytes):
        fields = dict(zip(reply[::2], reply[1::2], strict=True))
        return {name: value for name, value in fields.items() if name not in _INSIDE}
    told = [_told(command, one) for one in reply]
    return [one for one in told if one[b"pending"]] if command[1] == "CONSUMERS" else told


def _made(command: Command, reply: Any) -> Any:
    return None if command[1] == "CREATECONSUMER" else reply


def _later(_command: Command, reply: Any) -> Any:
    return reply if reply < 0 else "later"


_INSIDE: Final = (
    *(b"radix-tree-keys", b"radix-tree-nodes", b"idle", b"inactive"),
    *(b"lag", b"entries-read", b"consumers"),
)
_LOOSE: Final[dict[str, Callable[[Command, Any], Any]]] = {
    **dict.fromkeys(("KEYS", "HKEYS", "HVALS", "HGETALL", "HSCAN", "SCAN", "SMEMBERS"), _unordered),
    **dict.fromkeys(("TTL", "PTTL"), _later),
    "XPENDING": _timeless,
    "XINFO": _told,
    "XGROUP": _made,
}
