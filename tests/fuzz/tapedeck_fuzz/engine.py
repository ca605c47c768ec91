"""One target under atheris, in a process of its own: `python -m tapedeck_fuzz.engine NAME OPTIONS-OF-LIBFUZZER…`.

Owns instrumentation and the hard limits. Everything else is libFuzzer's: it tells on standard error what it tried and found,
and `report` reads that.
"""

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import atheris

from tapedeck_fuzz.target import Target, load_target

PACKAGES = ("audiocodec", "audiobus", "audiostore", "listen", "pusher", "storage_api")
"""What coverage is taken of. Whatever else parsers stand on (libopus, msgspec, FFmpeg) is fuzzed with them, but unseen."""
ROOM_BYTES = 384 << 20
"""What a target may allocate beyond what it has when it begins: a length that is believed before it is checked fails at once."""


def main() -> None:
    """Runs until libFuzzer's own limits end it."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=list(PACKAGES), enable_loader_override=False):
        target = load_target(name)
    limit_memory()

    def one(data: bytes) -> None:
        target.examine(data)

    arguments = [sys.argv[0], f"-max_len={target.max_bytes}", *options]
    atheris.Setup(arguments, one, custom_mutator=mutator(target))
    atheris.Fuzz()


def mutator(target: Target) -> Callable[[bytes, int, int], bytes]:
    """Half of the changes know the format, half are libFuzzer's own."""

    def change(data: bytes, max_bytes: int, seed: int) -> bytes:
        random = Random(seed)
        if random.randrange(2):
            return bytes(atheris.Mutate(data, max_bytes))
        changed = target.mutate(data, random, lambda piece: atheris.Mutate(piece, len(piece) + 64))
        return changed if len(changed) <= max_bytes else bytes(atheris.Mutate(data, max_bytes))

    return change


def limit_memory() -> None:
    """No more address space than is in use now and ROOM_BYTES."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        limit = pages * resource.getpagesize() + ROOM_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
