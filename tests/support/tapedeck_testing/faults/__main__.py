"""`python -m tapedeck_testing.faults --seconds 300 --sockets 500 --seed 7`: the soak by hand. `make soak` is the same.

With `--chaos` every kind of fault strikes the whole system: several pushers, a bucket behind a line of ours, Sentinel or a cluster. Exit
code 1 where anything is missing, doubled or in the wrong place, or where a planned kind of fault hit nothing.
"""

import argparse
import asyncio
import contextlib
import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import get_args

from tapedeck_testing.faults.chaos.kinds import StoreKind, Topology
from tapedeck_testing.faults.chaos.options import ChaosOptions
from tapedeck_testing.faults.chaos.run import chaos
from tapedeck_testing.faults.report import Options
from tapedeck_testing.faults.soak import soak


def main() -> None:
    """The command."""
    given = _parser().parse_args()
    first, last = (float(part) for part in given.faults_every.split("-"))
    options = Options(
        seconds=given.seconds,
        sockets=given.sockets,
        seed=given.seed,
        frame_ms=given.frame_ms,
        processes=given.processes,
        fsync=given.fsync,
        lose=given.lose,
        batch_seconds=given.batch_seconds,
        every_s=(first, last),
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is ended in order
    print(f"seed {options.seed}; the same plan again: {_again(sys.argv[1:], options.seed)}", flush=True)
    if given.chaos:
        print(_system_of(given), flush=True)
    with contextlib.ExitStack() as stack:
        if given.keep_files:
            directory = Path(tempfile.mkdtemp(prefix="tapedeck-soak-"))
            print(directory, flush=True)
        else:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tapedeck-soak-")))
        if given.chaos:
            whole = ChaosOptions(
                options,
                topology=given.topology,
                store=given.store,
                fallback=given.fallback,
                pushers=given.pushers,
                listens=given.listens,
                readers=given.readers,
                only=tuple(given.only.split(",")) if given.only else (),
            )
            of_chaos = asyncio.run(chaos(whole, directory, _say))
            print(of_chaos.table())
            failed = of_chaos.failed
        else:
            outcome = asyncio.run(soak(options, directory, _say))
            print(outcome.table())
            failed = outcome.failed
    raise SystemExit(1 if failed else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Devices under faults; every acked byte must be stored once")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument(
        "--frame-ms", type=int, default=60, help="ms of audio in an Opus message: 20, 40, 60, 80, 100 or 120"
    )
    parser.add_argument("--processes", type=int, default=2, help="processes full of devices")
    parser.add_argument("--fsync", choices=("always", "everysec"), default="always")
    parser.add_argument(
        "--lose", action="store_true", help="Redis comes back with less than it had confirmed"
    )
    parser.add_argument("--batch-seconds", type=float, default=20.0)
    parser.add_argument("--faults-every", default="2-6", help="seconds between two faults, from-to")
    parser.add_argument("--keep-files", action="store_true", help="keep the directory of the run")
    whole = parser.add_argument_group("the whole system")
    whole.add_argument("--chaos", action="store_true", help="every kind of fault, in all lanes at once")
    whole.add_argument("--topology", choices=get_args(Topology), default="single", help="of Redis")
    whole.add_argument("--store", choices=get_args(StoreKind), default="gcs")
    whole.add_argument(
        "--fallback", action="store_true", help="a second bucket; the first is away for minutes"
    )
    whole.add_argument("--pushers", type=int, default=3)
    whole.add_argument("--listens", type=int, default=2)
    whole.add_argument("--readers", type=int, default=2, help="in each process of devices")
    whole.add_argument("--only", default="", help="kinds of faults, by comma")
    return parser


def _again(arguments: list[str], seed: int) -> str:
    """The command that plans the same faults."""
    named = any(argument.partition("=")[0] == "--seed" for argument in arguments)
    rest = arguments if named else [*arguments, "--seed", str(seed)]
    return f"python -m tapedeck_testing.faults {shlex.join(rest)}"


def _system_of(given: argparse.Namespace) -> str:
    """What is struck, and by which options there is more."""
    bucket = {"gcs": "fake-gcs-server", "file": "a folder"}[given.store]
    second = "and a second bucket" if given.fallback else "no second bucket (--fallback)"
    return (
        f"real processes on Redis ({given.topology}; --topology {'|'.join(get_args(Topology))}), {bucket} (--store "
        f"{'|'.join(get_args(StoreKind))}), {second}, for {given.seconds:g} s:"
    )


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
