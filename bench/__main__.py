"""`python -m bench`: measures everything, prints the table. Run from the repository's folder (`make bench`)."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator

from bench import (
    bucket_latency,
    build,
    chunk_lists,
    codec,
    cores,
    day_memory,
    downloads,
    fairness,
    first_bytes,
    listen_cpu,
    machine,
    merges,
    pusher_batches,
    pusher_live,
    pusher_memory,
    pusher_outage,
    redis_commands,
    redis_memory,
    shells,
    sockets,
    stores,
    tokens,
    waveforms,
)
from bench.figure import Figure
from bench.process import BenchError
from bench.quality import command as quality
from bench.scale import FULL, QUICK, Scale
from bench.table import table

PARTS: dict[str, Callable[[Scale], Iterator[Figure]]] = {
    module.PART: module.measure
    for module in (
        codec,
        cores,
        build,
        listen_cpu,
        sockets,
        redis_commands,
        redis_memory,
        shells,
        pusher_batches,
        pusher_live,
        pusher_memory,
        pusher_outage,
        downloads,
        bucket_latency,
        first_bytes,
        day_memory,
        fairness,
        chunk_lists,
        merges,
        stores,
        tokens,
        waveforms,
    )
}


EVERYTHING = [name for name in PARTS if name != shells.PART]


def main() -> int:
    """Exit code 0 when everything was measured, whatever the figures say; 1 when something could not be."""
    arguments = _arguments()
    if arguments.only == [quality.PART]:
        return _quality(arguments)
    about = machine.facts()
    figures: list[Figure] = []
    failed = 0
    for name in arguments.only or EVERYTHING:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        try:
            figures += PARTS[name](QUICK if arguments.quick else FULL)
        except BenchError as error:
            failed = 1
            print(f"{name} could not be measured: {error}", file=sys.stderr, flush=True)
    about["load average after"] = machine.load_average()
    if arguments.json:
        print(json.dumps({"machine": about, "figures": [figure.as_json() for figure in figures]}, indent=2))
    else:
        print("\n".join(f"{name}: {value}" for name, value in about.items()))
        print(f"\n{table(figures)}")
    return failed


def _quality(arguments: argparse.Namespace) -> int:
    try:
        print(quality.main(arguments.audio, quick=arguments.quick, write=arguments.write))
    except BenchError as error:
        print(f"quality could not be measured: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Each figure beside a named baseline measured in the same run."
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[*PARTS, quality.PART],
        help=f"this part; may be given several times. `{shells.PART}` and `{quality.PART}` are never in `everything`; the "
        "latter goes alone",
    )
    parser.add_argument(
        "--audio", metavar="FILE", help=f"with `--only {quality.PART}`: other speech than the bundled"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"with `--only {quality.PART}`: put the tables into docs/quality.md",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast")
    parser.add_argument("--json", action="store_true", help="everything that was measured, for programs")
    arguments = parser.parse_args()
    alone = arguments.only == [quality.PART]
    if quality.PART in (arguments.only or []) and not alone:
        parser.error(f"`--only {quality.PART}` goes alone: it makes tables of its own")
    if (arguments.audio or arguments.write) and not alone:
        parser.error(f"--audio and --write go with `--only {quality.PART}`")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
