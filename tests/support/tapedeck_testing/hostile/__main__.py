"""`python -m tapedeck_testing.hostile`: attacks a server, and prints what became of it as a table.

    PYTHONPATH=tests/support .venv/bin/python -m tapedeck_testing.hostile --server listen --json listen.json
    PYTHONPATH=tests/support .venv/bin/python -m tapedeck_testing.hostile --server uvicorn --json uvicorn.json
    PYTHONPATH=tests/support .venv/bin/python -m tapedeck_testing.hostile --compare listen.json uvicorn.json

`TAPEDECK_TEST_HOSTILE_LONG=1` makes the counts those of a long run. Ends with 1 where something does not hold.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tapedeck_testing.hostile import table
from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.attacks.catalogue import KINDS
from tapedeck_testing.hostile.neighbours import Neighbours
from tapedeck_testing.hostile.server import LISTEN, SINKS, Server
from tapedeck_testing.hostile.verdict import Bench, Verdict

LONG = bool(int(os.environ.get("TAPEDECK_TEST_HOSTILE_LONG", "0")))


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tapedeck_testing.hostile", description="Attack a server."
    )
    parser.add_argument("--server", choices=[LISTEN, *SINKS], default=LISTEN)
    parser.add_argument("--sources", help="PYTHONPATH of another listen than the one that is installed")
    parser.add_argument("--kind", choices=list(KINDS), action="append", help="only attacks of this kind")
    parser.add_argument("--attack", default="", help="only attacks whose name has this in it")
    parser.add_argument("--times", type=int, help="each at most so often at once")
    parser.add_argument("--neighbours", type=int, default=3, help="well-behaved sockets beside it")
    parser.add_argument("--json", type=Path, help="write the verdicts here, too")
    parser.add_argument("--compare", type=Path, nargs="+", help="print files of --json side by side instead")
    return parser.parse_args()


def wanted(asked: argparse.Namespace) -> dict[str, list[Attack]]:
    """The attacks to be run, by kind."""
    return {
        kind: [
            attack
            for attack in attacks
            if asked.attack in attack.name
            and (asked.server == LISTEN or attack.wire)
            and (LONG or not attack.long)
        ]
        for kind, attacks in KINDS.items()
        if asked.kind is None or kind in asked.kind
    }


async def run(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Runs them, those that wait side by side; the verdicts."""
    records: list[dict[str, Any]] = []
    environ = {"PYTHONPATH": asked.sources} if asked.sources else {}

    def note(kind: str, verdict: Verdict) -> None:
        print(table.row(verdict), flush=True)
        records.append(table.record(kind, verdict))
        if asked.json:
            asked.json.write_text(json.dumps(records, indent=1))

    with tempfile.TemporaryDirectory() as folder:
        server = Server(asked.server, Path(folder), environ)
        async with server, Neighbours(server, asked.neighbours) as neighbours:
            await server.warm_up()
            bench = Bench(server, neighbours)
            print(table.HEAD)
            for kind, attacks in wanted(asked).items():
                await bench.rest()
                for attack in attacks:
                    if not attack.waits:
                        note(kind, await bench.judge(attack.name, [attack], times=asked.times))
                if waiting := [attack for attack in attacks if attack.waits]:
                    note(kind, await bench.judge(f"{kind}, side by side", waiting, times=asked.times))
            missing, closed = await neighbours.stop()
    print(f"\nNeighbours at the end: {missing} miss acks, {len(closed)} were closed.")
    return records


def main() -> int:
    """The command."""
    asked = options()
    if asked.compare:
        runs = {path.stem: json.loads(path.read_text()) for path in asked.compare}
        print(table.summary(runs), table.differences(runs), sep="\n\n")
        return 0
    records = asyncio.run(run(asked))
    held = sum(record["holds"] for record in records)
    print(f"{held} of {len(records)} hold.")
    return 0 if held == len(records) else 1


if __name__ == "__main__":
    sys.exit(main())
