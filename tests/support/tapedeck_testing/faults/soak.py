"""The soak: many devices, a seeded fault every few seconds, and then the account of every byte.

Owns the order of things. What is wrong is `verdict`'s to say, and `report` says it to people.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from audiobus import Bus, census
from tapedeck_testing.account import flush, pcm_back
from tapedeck_testing.faults.fleet import Fleet
from tapedeck_testing.faults.load import DeviceSpec, LoadSpec, Seen
from tapedeck_testing.faults.report import Options, Outcome
from tapedeck_testing.faults.rig import Rig
from tapedeck_testing.faults.schedule import Fault, schedule
from tapedeck_testing.faults.tape import Tape, speech
from tapedeck_testing.faults.verdict import Account, heard, stored_spans, wrong
from tapedeck_testing.stack import Stack

Say = Callable[[str], None]

USUAL: Final = "opus"
OTHERS: Final = {11: "pcm16", 23: "pcm2", 37: "opus2", 7: "plain-opus", 27: "plain-opus"}
"""Of forty devices. Encoding is dear: these few cost more than all the others."""
RELAYED: Final = 4
"""One of so many devices is behind a relay of ours."""
DEVICES_OF_USER: Final = 4
SETTLE_S: Final = 120.0
AFTER_S: Final = 180.0
"""For what is not acked when the recording ends."""
AGAIN_S: Final = 60.0
"""For what has not hit yet when all is done: a slow machine has less for a fault to meet."""
AGAIN_PAUSE_S: Final = 0.2


async def soak(options: Options, directory: Path, say: Say) -> Outcome:
    """Runs it in a directory of its own; `say` is told each fault."""
    rig = Rig(
        directory,
        fsync=options.fsync,
        lose=options.lose,
        seed=options.seed,
        environ={
            "TAPEDECK_BATCH_SECONDS": str(options.batch_seconds),
            "TAPEDECK_DRAIN_SECONDS": "10",
            "TAPEDECK_OPUS_COMPLEXITY": "2",
            "TAPEDECK_MAX_SOCKETS_PER_USER": "200",  # half-open ones hold their places for 90 s
        },
    )
    outcome = Outcome(options, schedule(options.seed, options.seconds, options.every_s))
    try:
        await rig.start()
        specs = load_specs(rig.stack, rig.address, options)
        seen = await Fleet(specs, directory).run(partial(_spoil, rig, outcome, say))
        outcome.lost_log_bytes = rig.lost_bytes
        await settle_all(rig, [device for spec in specs for device in spec.devices])
        await judge(rig, outcome, specs, seen)
        await _books(rig, outcome)
        outcome.counted_lost_s = await rig.lost_seconds()
    finally:
        await rig.stop()
    return outcome


def load_specs(stack: Stack, address: tuple[str, int], options: Options) -> list[LoadSpec]:
    """Which devices there are, in how many processes."""
    chance = random.Random(options.seed)
    devices = []
    for number in range(options.sockets):
        kind = OTHERS.get(number % 40, USUAL)
        uid = f"u{number // DEVICES_OF_USER}"
        holes = []
        at_s = chance.uniform(2, 20)
        while number % 2 and not kind.startswith("plain") and at_s < options.seconds:
            holes.append((at_s, chance.randrange(200, 3_000)))
            at_s += chance.uniform(5, 30)
        devices.append(
            DeviceSpec(
                number=number,
                kind=kind,
                uid=uid,
                cid=f"c{number}",
                token=stack.user_token(uid, lifetime_s=7_200),
                relayed=number % RELAYED == 0,
                holes=holes,
            )
        )
    host, port = address
    return [
        LoadSpec(
            host=host,
            port=port,
            seconds=options.recorded_at_most_s,
            frame_ms=options.frame_ms,
            keep=options.keep,
            seed=options.seed * 1000 + process,
            ramp_s=min(10.0, options.sockets / 100),
            deadline_s=options.recorded_at_most_s + AFTER_S,
            devices=devices[process :: options.processes],
        )
        for process in range(options.processes)
    ]


async def _spoil(rig: Rig, outcome: Outcome, say: Say, fleet: Fleet) -> None:
    """All of them, each at its time; then what has not hit yet until it does, and the devices end."""
    began = time.monotonic()

    async def strike(fault: Fault) -> None:
        if fault.kind == "clients cut":
            hits = await fleet.ask(f"cut {fault.share:.3f}")
        else:
            hits = await rig.perform(fault)
        outcome.hits[fault.kind] += hits
        say(f"{time.monotonic() - began:6.1f} s  {fault.kind}  {fault.lasts_s:.1f} s  {hits} hits")

    for fault in outcome.faults:
        await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
        await strike(fault)
    until = time.monotonic() + AGAIN_S
    for fault in outcome.faults:
        while fault.kind in outcome.never_hit():
            await strike(fault)
            if time.monotonic() > until:
                break
            await asyncio.sleep(AGAIN_PAUSE_S)
    await asyncio.sleep(max(0.0, began + outcome.options.seconds - time.monotonic()))
    await fleet.ask("end 1")


async def settle_all(rig: Rig, devices: Sequence[DeviceSpec]) -> None:
    """Has everything stored that waits."""
    room = asyncio.Semaphore(8)

    async def settle(http: httpx.AsyncClient, device: DeviceSpec) -> None:
        with contextlib.suppress(TimeoutError):  # what still waits then is found by the verdict
            async with room, asyncio.timeout(SETTLE_S):
                while True:
                    with contextlib.suppress(httpx.TransportError, AssertionError):
                        await flush(http, device.uid, device.cid)
                        if not (await rig.counts(device.uid, device.cid))["entries"]:
                            return
                    await asyncio.sleep(0.3)

    async with rig.stack.http() as http, asyncio.TaskGroup() as group:
        for device in devices:
            group.create_task(settle(http, device))


async def _books(rig: Rig, outcome: Outcome) -> None:
    """The books of all conversations close, whatever Redis has lost."""
    async with Bus(rig.redis.url) as bus:
        _, off = await census.exact_totals(bus)
    if off:
        outcome.wrong["books"] = [f"{conversation.tag}: {balance}" for conversation, balance in off.items()]


async def judge(rig: Rig, outcome: Outcome, specs: Sequence[LoadSpec], seen: dict[int, Seen]) -> None:
    """Compares each recording with what is stored of it."""
    options = outcome.options
    sound = speech(options.frame_ms)
    async with rig.stack.http() as http:
        for device in (device for spec in specs for device in spec.devices):
            one = seen.get(device.number)
            if one is None:
                outcome.wrong[device.cid] = ["the device never began"]
                continue
            tape = Tape(
                device.kind,
                sound,
                device=device.number,
                seconds=options.recorded_at_most_s,
                start_ms=one.start_ms,
                holes=device.holes,
            )
            tape.end_at(one.messages)
            spans = await asyncio.to_thread(stored_spans, rig.stack.store, device.uid, device.cid)
            account = Account(one, spans, await rig.counts(device.uid, device.cid))
            outcome.accounts.append(account)
            found = wrong(tape, account, lossy=options.lose)
            if tape.channels == 1 and not tape.numbered and len(one.sessions) == 1:
                found += heard(tape.expected_pcm(sound), await pcm_back(http, device.uid, device.cid))
            if found:
                outcome.wrong[device.cid] = [f"{device.kind}, {device.uid}", *found]
