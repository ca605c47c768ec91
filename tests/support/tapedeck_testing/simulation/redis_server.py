"""What the Redis model says about itself: PING, INFO, CONFIG, WAIT, TIME."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from tapedeck_testing.simulation.redis_command import OK, Status, Words, arity_error, integer
from tapedeck_testing.simulation.redis_keyspace import Keyspace, Refused

EMPTY_BYTES: Final = 1_000_000
"""What a server takes that holds nothing."""
SECTIONS: Final = ("server", "memory", "persistence", "replication")


@dataclass(slots=True)
class ServerState:
    """What is no key."""

    name: str
    maxmemory: int = 0
    policy: str = "noeviction"
    appends: bool = True
    """`appendonly`."""
    replicas: int = 0
    """How many confirm what was written: the answer to WAIT."""
    role: str = "master"
    restarts: int = 0
    """Each gives its history another name."""

    def used_memory(self, keys: Keyspace) -> int:
        """About how many bytes the server takes."""
        return EMPTY_BYTES + keys.size()

    def full(self, keys: Keyspace) -> bool:
        """Whether memory is over its limit."""
        limit = self.maxmemory
        return limit > 0 and (limit < EMPTY_BYTES or self.used_memory(keys) > limit)

    @property
    def history(self) -> str:
        """`master_replid`."""
        return hashlib.sha1(f"{self.name}/{self.restarts}".encode(), usedforsecurity=False).hexdigest()

    def info(self, keys: Keyspace, section: str) -> dict[str, object]:
        """One section of INFO, as far as the services read it; empty for any other."""
        match section:
            case "server":
                return {"redis_version": "7.0.15", "redis_mode": "standalone", "run_id": self.history}
            case "memory":
                return {
                    "used_memory": self.used_memory(keys),
                    "maxmemory": self.maxmemory,
                    "maxmemory_policy": self.policy,
                    "mem_not_counted_for_evict": 0,
                }
            case "persistence":
                return {"loading": 0, "aof_enabled": int(self.appends), "aof_last_write_status": "ok"}
            case "replication":
                return {
                    "role": self.role,
                    "connected_slaves": self.replicas,
                    "master_replid": self.history,
                    "master_repl_offset": keys.dirty,
                }
            case _:
                return {}


def ping(_state: ServerState, _keys: Keyspace, words: Words) -> bytes:
    """PONG, or what it was sent."""
    if len(words) > 2:
        raise arity_error(b"ping")
    return words[1] if len(words) == 2 else Status(b"PONG")


def echo(_state: ServerState, _keys: Keyspace, words: Words) -> bytes:
    """What it was sent."""
    if len(words) != 2:
        raise arity_error(b"echo")
    return words[1]


def time(_state: ServerState, keys: Keyspace, _words: Words) -> list[bytes]:
    """Seconds and microseconds."""
    seconds, ms = divmod(keys.now_ms, 1000)
    return [b"%d" % seconds, b"%d" % (ms * 1000)]


def info(state: ServerState, keys: Keyspace, words: Words) -> bytes:
    """The sections that are asked for; all where none is."""
    asked = [word.decode().lower() for word in words[1:]] or ["default"]
    sections = SECTIONS if {"default", "all", "everything"} & {*asked} else tuple(asked)
    texts = []
    for section in sections:
        if fields := state.info(keys, section):
            lines = [f"# {section.capitalize()}", *(f"{name}:{value}" for name, value in fields.items())]
            texts.append("\r\n".join(lines) + "\r\n")
    return "\r\n".join(texts).encode()


def wait(state: ServerState, _keys: Keyspace, words: Words) -> int:
    """How many replicas have everything."""
    if len(words) != 3:
        raise arity_error(b"wait")
    integer(words[1])
    integer(words[2])
    return state.replicas


def config(state: ServerState, _keys: Keyspace, words: Words) -> Any:
    """GET and SET of the settings that matter here."""
    settings = {
        "maxmemory": str(state.maxmemory),
        "maxmemory-policy": state.policy,
        "appendonly": "yes" if state.appends else "no",
        "appendfsync": "everysec",
        "save": "",
    }
    what = words[1].upper() if len(words) > 1 else b""
    if what == b"GET" and len(words) > 2:
        wanted = [word.decode().lower() for word in words[2:]]
        return [
            word.encode()
            for name, value in settings.items()
            if any(fnmatchcase(name, glob) for glob in wanted)
            for word in (name, value)
        ]
    if what == b"SET" and len(words) == 4:
        match words[2].decode().lower():
            case "maxmemory":
                state.maxmemory = integer(words[3])
            case "maxmemory-policy":
                state.policy = words[3].decode()
            case "appendonly":
                state.appends = words[3] == b"yes"
            case name:
                raise Refused(f"ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
        return OK
    raise Refused("ERR unknown subcommand or wrong number of arguments for 'config'")


SERVER_COMMANDS: Final[dict[bytes, Callable[[ServerState, Keyspace, Words], Any]]] = {
    b"PING": ping,
    b"ECHO": echo,
    b"TIME": time,
    b"INFO": info,
    b"WAIT": wait,
    b"CONFIG": config,
}
