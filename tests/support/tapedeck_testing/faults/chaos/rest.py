"""The end of a run: everything must come to rest in bounded time, and then every account must be closed.

Owns the waiting and the questions. What is wrong with one recording is `verdict`'s to say.
"""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar, cast

import httpx
import msgspec

from audiobus import Conversation, census, deletions
from audiobus.census import Balance
from audiobus.connection import translated
from audiobus.errors import BusError, BusUnavailableError
from audiostore.batch import read_batch
from tapedeck_testing.account import flush, pcm_back
from tapedeck_testing.faults.chaos.processes import send
from tapedeck_testing.faults.chaos.system import System
from tapedeck_testing.faults.chaos.wishes import Gone
from tapedeck_testing.faults.load import DeviceSpec, Seen
from tapedeck_testing.faults.tape import Tape, speech
from tapedeck_testing.faults.verdict import Account, heard, wrong

REST_S: Final = 180.0
"""For all that waits to be stored. Pauses after failures have no more than doubled by then."""
HOME_S: Final = 120.0
"""For what lies in the second bucket."""
SWEPT_S: Final = 90.0
"""For what was deleted."""
NAMES_S: Final = 150.0
"""For objects whose names were given up while the bucket was away: it is asked to delete them again after a minute."""
BOOKS_S: Final = 60.0
"""For the gauges, which follow the census every few seconds."""
ANSWERED_S: Final = 60.0
"""For Redis and the services to answer a question of the judge's."""
POLL_S: Final = 0.3
LONGEST: Final = 4
"""So many times as long as that it may take to come to rest where it goes on coming nearer."""
AT_ONCE: Final = 8
Say = Callable[[str], None]
T = TypeVar("T")

PARTS: Final = ("received", "stored", "waiting", "dead", "deleted")
SECOND: Final = 48_000
GAUGE: Final = "tapedeck_audio_balance_seconds"


class Rest:
    """What is found at the end of one run. `wrong` is by conversation, or by what it is about."""

    def __init__(self, system: System, say: Say) -> None:
        self._system = system
        self._say = say
        self.wrong: dict[str, list[str]] = {}
        self.notes: dict[str, str] = {}
        self.accounts: list[Account] = []

    async def check(self, devices: Sequence[DeviceSpec], seen: dict[int, Seen], gone: Sequence[Gone]) -> None:
        """Everything, in the order in which it comes to rest."""
        began = time.monotonic()
        await self._come_to_rest(devices)
        self.notes["at rest after, s"] = f"{time.monotonic() - began:.1f}"
        self._say(f"         at rest after {time.monotonic() - began:.1f} s")
        await self._until("second bucket", HOME_S, self._away_from_home)
        await self._until("deleted conversations", SWEPT_S, lambda: self._undeleted(gone))
        await self._until("names given up", NAMES_S, lambda: self._unnamed(devices))
        used = await self._answered(self._used)
        for device in devices:
            await self._answered(partial(self._judge, device, seen.get(device.number), used))
        await self._books()

    # -- coming to rest ----------------------------------------------------------------------------------------------

    async def _come_to_rest(self, devices: Sequence[DeviceSpec]) -> None:
        room = asyncio.Semaphore(AT_ONCE)

        async def settle(http: httpx.AsyncClient, device: DeviceSpec) -> None:
            conversation = Conversation(device.uid, device.cid)
            async with room:
                while True:
                    with contextlib.suppress(httpx.TransportError, AssertionError, BusError):
                        await flush(http, device.uid, device.cid)
                        if not await self._waits(conversation):
                            return
                    await asyncio.sleep(POLL_S)

        with contextlib.suppress(TimeoutError):  # what still waits then is found by the verdict
            async with (
                asyncio.timeout(REST_S),
                self._system.stack.http() as http,
                asyncio.TaskGroup() as group,
            ):
                for device in devices:
                    group.create_task(settle(http, device))

    async def _waits(self, conversation: Conversation) -> bool:
        bus = self._system.bus
        cut = await bus.command("HGET", bus.keys.conv(conversation), "cut")
        return bool(cut) or bool(await bus.command("XLEN", bus.keys.audio(conversation)))

    async def _until(self, about: str, within_s: float, ask: Callable[[], Awaitable[list[str]]]) -> None:
        """Asks until nothing is wrong any more; what is wrong is so once nothing has changed for that time, or after `LONGEST` times as long."""
        found: list[str] = []
        end = time.monotonic() + LONGEST * within_s
        deadline = time.monotonic() + within_s
        while True:
            before = found
            try:
                found = await ask()
            except (httpx.TransportError, BusError) as error:
                found = [f"{type(error).__name__}: {error}"]
            now_s = time.monotonic()
            if found != before:
                deadline = min(end, now_s + within_s)  # an hour's worth of batches is not moved in a moment
            if not found or now_s > deadline:
                break
            await asyncio.sleep(POLL_S)
        if found:
            self.wrong[about] = found
            self._say(f"         {about}: {found[0]}")

    async def _answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Asks until it is answered, for a while: a master that is replaced late closes its lines once more."""
        deadline = time.monotonic() + ANSWERED_S
        while True:
            try:
                return await ask()
            except (httpx.TransportError, BusUnavailableError, AssertionError):
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(POLL_S)

    async def _away_from_home(self) -> list[str]:
        left = await self._system.shelf.left_in_fallback()
        return [f"{left} objects are still there"] if left else []

    async def _undeleted(self, gone: Sequence[Gone]) -> list[str]:
        bus, found = self._system.bus, []
        for one in gone:
            if not one.confirmed:
                continue
            conversation = one.conversation
            if not await bus.tombstone(conversation):
                if self._system.options.soak.lose:
                    continue  # Redis lost it with the end of its log
                found.append(f"{one.cid}: the tombstone is gone")
                continue
            if objects := await self._system.shelf.objects(f"chunks/{conversation.uid}/{conversation.cid}/"):
                found.append(f"{one.cid}: {len(objects)} objects are still there")
            if waits := await bus.command("XLEN", bus.keys.audio(conversation)):
                found.append(f"{one.cid}: {waits} entries still wait")
        return found

    async def _unnamed(self, devices: Sequence[DeviceSpec]) -> list[str]:
        """Objects whose names were noted: the audio of each lies in another, or is cut anew."""
        found = []
        for device in devices:
            conversation = Conversation(device.uid, device.cid)
            noted = set(await deletions.gone(self._system.bus, conversation))
            if noted and (
                left := noted & await self._system.shelf.names(f"chunks/{device.uid}/{device.cid}/")
            ):
                found.append(f"{device.cid}: {len(left)} objects are still there")
        return found

    # -- one recording -----------------------------------------------------------------------------------------------

    async def _judge(self, device: DeviceSpec, seen: Seen | None, used: Counter[str]) -> None:
        if seen is None:
            self.wrong[device.cid] = ["the device never began"]
            return
        options = self._system.options.soak
        sound = speech(options.frame_ms)
        tape = Tape(
            device.kind,
            sound,
            device=device.number,
            seconds=self._system.options.recorded_at_most_s,
            start_ms=seen.start_ms,
            holes=device.holes,
        )
        tape.end_at(seen.messages)
        objects = await self._system.shelf.objects(f"chunks/{device.uid}/{device.cid}/")
        batches = await asyncio.to_thread(lambda: [read_batch(data) for data in objects.values()])
        spans = [span for batch in batches for span in batch.spans]
        spans.sort(key=lambda span: (span.epoch, span.first_offset, span.end_offset))
        conversation = Conversation(device.uid, device.cid)
        balance = await census.exact(self._system.bus, conversation)
        entries = await self._system.bus.command("XLEN", self._system.bus.keys.audio(conversation))
        counts = {**msgspec.to_builtins(balance), "entries": int(entries), "used_ms": used[device.cid]}
        account = Account(seen, spans, counts)
        found = await asyncio.to_thread(wrong, tape, account, lossy=options.lose)
        if balance.difference:
            found.append(f"the books do not close: {balance}")
        if balance.deleted:
            found.append(f"{balance.deleted} samples are called deleted")
        if tape.channels == 1 and not tape.numbered and len(seen.sessions) == 1:
            async with self._system.stack.http() as http:
                found += heard(tape.expected_pcm(sound), await pcm_back(http, device.uid, device.cid))
        self.accounts.append(account)
        if found:
            self.wrong[device.cid] = [f"{device.kind}, {device.uid}", *found]

    async def _used(self) -> Counter[str]:
        """ms of usage, by conversation."""
        found: Counter[str] = Counter()
        client = cast("Any", self._system.bus.client)
        with translated("usage"):
            async for key in client.scan_iter("td:usage:*", count=1000):
                for name, ms in (await client.hgetall(key)).items():
                    found[name.decode().partition("/")[0]] += int(ms)
        return found

    # -- the books ---------------------------------------------------------------------------------------------------

    async def _books(self) -> None:
        """The sum over all conversations, the deleted ones too, and what the pushers export of it."""
        total, off = await self._answered(lambda: census.exact_totals(self._system.bus))
        self.notes["the books, s"] = ", ".join(
            f"{part} {getattr(total, part) / SECOND:.1f}" for part in PARTS
        )
        if off:
            self.wrong["books"] = [f"{conversation.tag}: {balance}" for conversation, balance in off.items()]
        if total.dead:
            self.wrong["dead letters"] = [f"{total.dead} samples, and no poison was given"]
        # What they export must outlive them; and a count that met a slow Redis may have put the next one off for minutes.
        for pid in self._system.pids("pusher"):
            send(pid, signal.SIGTERM)
        await self._until("metrics", BOOKS_S, lambda: self._metrics(total))

    async def _metrics(self, total: Balance) -> list[str]:
        async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
            answer = await http.get(f"{self._system.stack.facts['admin']['pusher']}/metrics")
        rows = [row for row in answer.text.splitlines() if row.startswith(GAUGE + "{")]
        exported = {row.split('part="')[1].split('"')[0]: float(row.rsplit(" ", 1)[1]) for row in rows}
        if answer.status_code != 200 or not exported:
            return [f"{GAUGE} is not exported ({answer.status_code})"]
        return [
            f"{part}: exported are {exported.get(part)} s, the books say {getattr(total, part) / SECOND:.3f} s"
            for part in PARTS
            if abs(exported.get(part, -1.0) - getattr(total, part) / SECOND) > 0.01
        ]
