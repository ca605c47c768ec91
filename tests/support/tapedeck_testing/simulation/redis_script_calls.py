"""Random calls of the project's scripts, with arguments of the kinds that the heads of the scripts name.

Owns what is drawn. It looks at a server to draw what fits its state more often than chance would; most of a script is behind such fits.
"""

import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from typing import Any, Final

from audiobus.script import Script, script
from tapedeck_testing.simulation.redis_sequences import FUTURE, Command

FITS: Final = 0.7
"""How often an argument is what stands on the server."""
RARE: Final = ("tomb", "entomb", "user_tomb", "sweep", "forget", "freeze", "merged")
"""After these there is little left to do."""
OFTEN: Final = ("open", "append", "cut", "finish")
FIVE, SIX, LATER = "1000005", "1000006", "1000020"
"""Epochs and times. Taken for milliseconds to live they are long, so that no key ends within a test."""
_KEPT: Final = "900000"
"""Every time limit."""
_HEADS: Final[dict[str, tuple[list[str], list[str]]]] = {
    "tomb": (["unix ms", "ttl_ms"], []),
    "take": (["holder", "ttl_ms", "number of entries", "field"], []),
    "part": (["holder", "newest id as read", "flush id as read", "'1' if noted", "field"], []),
    "usage": (["limit", "seconds", "session", "ms", "session", "ms"], []),
}
"""What is drawn for scripts whose heads tell it in a way of their own."""


class ScriptCalls:
    """Calls from a seed."""

    def __init__(self, seed: int, look: Callable[[Command], Any]) -> None:
        """`look`: runs a command that only reads, on the server that was given every call so far."""
        self._dice = random.Random(seed)
        self._look = look

    def draw(self, count: int) -> Iterator[Command]:
        """So many commands, one at a time: nearly all are calls of scripts, a few spoil keys or fill the memory."""
        scripts = project_scripts()
        weights = [0.15 if run.name in RARE else 3 if run.name in OFTEN else 1 for run in scripts]
        for stream in ("ready", "frozen"):  # whose scripts leave the id to the server
            yield ["XADD", f"{stream}:{{x}}", f"{FUTURE}-0", "c", "x"]
        for _ in range(count):
            yield (
                self._spoil()
                if self._dice.random() < 0.03
                else self._call(self._dice.choices(scripts, weights)[0])
            )
        yield ["CONFIG", "SET", "maxmemory", "0"]

    def _spoil(self) -> Command:
        kinds = ["conv", "audio", "tomb", "dead", "lease", "due", "user", "usage", "sum", "gone"]
        key = f"{self._dice.choice(kinds)}:{{x}}"
        if self._dice.random() < 0.6:
            return ["DEL", *self._dice.choice([[key], ["tomb:{x}"], ["tomb:{x}"]])]
        spoils: list[Command] = [
            ["SET", key, "spoiled"],
            ["SCRIPT", "FLUSH"],
            ["CONFIG", "SET", "maxmemory", "1"],
            ["CONFIG", "SET", "maxmemory", "0"],
            ["CONFIG", "SET", "maxmemory", "0"],
            ["HSET", "conv:{x}", self._dice.choice(["merging", "closed", "flush", "newest"]), f"{SIX}-10"],
            ["XADD", "audio:{x}", f"{FUTURE}-{self._dice.randint(0, 9)}", "c", "x"],
        ]
        return self._dice.choice(spoils)

    def _call(self, run: Script) -> Command:
        keys = [f"{kind}:{{x}}" for kind in key_kinds(run)]
        names, repeated = argument_names(run)
        names = [*names, *(repeated * self._dice.randint(0, 3))]
        if self._dice.random() < 0.02:
            names = names[: self._dice.randint(0, len(names))]
        args = [self._argument(name) for name in names]
        if self._dice.random() < 0.5:
            return ["EVALSHA", run.digest, len(keys), *keys, *args]
        return ["EVAL", run.source, len(keys), *keys, *args]

    def _argument(self, name: str) -> str | bytes:
        if self._dice.random() < FITS and (fit := self._fit(name)) is not None:
            return fit
        return self._dice.choice(next(words for kind, words in _POOLS if re.search(kind, name)))

    def _fit(self, name: str) -> bytes | None:
        """What stands there now, if the name says what that is."""
        newest = self._field("newest") or f"{FIVE}-0".encode()
        epoch, _, offset = newest.partition(b"-")
        match name:
            case "id before" | "id" if offset.isdigit():
                return newest if name == "id before" else b"%s-%d" % (epoch, int(offset) + 10)
            case "epoch" | "epoch to resume or ''":
                return epoch
            case "holder":
                holder: bytes | None = self._read(["GET", "lease:{x}"])
                return holder
            case "entry id" | "last id" | "entry":
                rows = self._read(["XRANGE", "audio:{x}", "-", "+"]) or []
                known = [row[0] for row in rows] + (self._read(["HKEYS", "dead:{x}"]) or [])
                return self._dice.choice(known) if known else None
            case _:
                if name.startswith("token"):
                    return self._field("merging_by")
                found = re.search(r"owner|settled|newest|cut\b", name)
                # Where none stands, the empty word says so.
                return (self._field(found[0]) or b"") if found else None

    def _field(self, name: str) -> bytes | None:
        answer: bytes | None = self._read(["HGET", "conv:{x}", name])
        return answer

    def _read(self, command: Command) -> Any:
        answer = self._look(command)
        return None if isinstance(answer, Exception) else answer


_POOLS: Final[list[tuple[str, list[str]]]] = [
    (r"'1' if", ["0", "1"]),
    (r"^field", ["newest", "settled", "cut", "nothing"]),
    (r"replication|fence", ["", "", "", "of another server"]),
    (r"ttl|seconds|kept|resumable", [_KEPT]),
    (r"^operation", ["op-1", "op-1", "op-2"]),
    (r"owner|holder", ["me", "me", "you", ""]),
    (r"\bid\b|newest|settled|entry", [f"{FIVE}-0", f"{FIVE}-10", f"{FIVE}-20", f"{SIX}-0", f"{LATER}-0", ""]),
    (r"cut|letter", ["cut-1", "cut-1", "cut-2", ""]),
    (r"resume|epoch", [FIVE, FIVE, SIX, LATER, ""]),
    (r"format", ["opus:16000:1:312", "opus:16000:1:0", "opus:48000:2:0"]),
    (r"limit|number|bytes", ["0", "2", "20", LATER]),
    (r"samples|offset", ["0", "960", "48000", LATER]),
    (r"now|\bms\b|_ms|arrived|due", [FIVE, SIX, LATER, "86400000", "1700000000000"]),
    (r"", ["x", "", FIVE, "u/c", "alice"]),
]
"""What is drawn where nothing fits: the first kind that the name matches."""


@cache
def project_scripts() -> list[Script]:
    """Every script that the services have, but those of operations: they go by Redis' own clock, which two servers do not share."""
    names = sorted(path.name for path in resources.files("audiobus").joinpath("lua").iterdir())
    kept = [name for name in names if name.endswith(".lua") and not name.startswith("op_")]
    return [script(name.removesuffix(".lua")) for name in kept]


@cache
def key_kinds(run: Script) -> list[str]:
    """What the keys of a script are, from its head."""
    if run.name == "usage":
        return ["user", "usage", "sum", "usage", "sum", "usage2", "sum2"]
    told = re.search(r"^-- KEYS (.*?)(?:  +ARGV.*)?$", run.source, re.MULTILINE)
    return [name.split()[0] for name in told[1].split(",")] if told else []


@cache
def argument_names(run: Script) -> tuple[list[str], list[str]]:
    """What the arguments of a script are, from its head, and those that repeat at the end."""
    if run.name in _HEADS:
        return _HEADS[run.name]
    told = re.search(r"ARGV (.*?)(?:   Answers.*)?\n((?:--    +.*\n)*)", run.source)
    if told is None:
        return [], []
    text = re.sub(r"\([^)]*\)|\n--", "", told[1] + " " + told[2].replace("--", ""))
    once, _, repeated = text.partition(" then ")
    # A comma before these goes on with the same argument.
    once = re.sub(r", (?=as read|or '')", " ", once)
    names = [name.strip() for name in re.split(r"[,;]", once) if name.strip()]
    pair = re.match(r"(.*?) and (.*?) of each", " ".join(repeated.split()))
    return names, [pair[1], pair[2]] if pair else []
