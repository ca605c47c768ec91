"""What a soak was asked for and what came of it, and the table of both for people."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tapedeck_testing.faults.progress import Keep
from tapedeck_testing.faults.rig import Fsync
from tapedeck_testing.faults.schedule import Fault
from tapedeck_testing.faults.verdict import Account, seconds


@dataclass(frozen=True, slots=True)
class Options:
    """What is run."""

    seconds: float = 300.0
    sockets: int = 500
    seed: int = 1
    frame_ms: int = 60
    processes: int = 2
    fsync: Fsync = "always"
    lose: bool = False
    """Redis comes back with less than it had confirmed; the devices keep what is not stored."""
    batch_seconds: float = 20.0
    every_s: tuple[float, float] = (2.0, 6.0)

    @property
    def recorded_at_most_s(self) -> float:
        """What devices could record; they are told to end when the last fault is over."""
        return 2 * self.seconds + 300

    @property
    def keep(self) -> Keep:
        """Up to where devices drop their copy."""
        return "stored" if self.lose else "acked"


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    options: Options
    faults: list[Fault] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    """By conversation."""
    lost_log_bytes: int = 0
    counted_lost_s: float = 0.0
    hits: Counter[str] = field(default_factory=Counter)
    """How often each kind of fault has hit, as `Rig.perform` counts it."""

    def never_hit(self) -> list[str]:
        """Kinds that were planned and have hit nothing: a run with one of them proves too little."""
        return sorted({fault.kind for fault in self.faults if not self.hits[fault.kind]})

    @property
    def failed(self) -> bool:
        """Whether the run is no proof, or one of the contrary."""
        return bool(self.wrong or self.never_hit())

    def table(self) -> str:
        """For people."""
        seen = [account.seen for account in self.accounts]
        closes, cuts = _sum(one.closes for one in seen), _sum(one.cuts for one in seen)
        refusals, errors = _sum(one.refusals for one in seen), _sum(one.errors for one in seen)
        stored = seconds(sum(account.samples for account in self.accounts))
        options = self.options
        rows = [
            ("seed", options.seed),
            (
                "sockets, seconds, ms a message",
                f"{options.sockets}, {options.seconds:.0f}, {options.frame_ms}",
            ),
            ("appendfsync; log cut short", f"{options.fsync}; {self.lost_log_bytes} bytes"),
            ("faults", _listed(Counter(fault.kind for fault in self.faults))),
            ("how often they hit", _listed(self.hits)),
            ("lines cut", _listed(cuts)),
            (
                "connections; resumed; superseded",
                f"{sum(one.connects for one in seen)}; {sum(one.resumed for one in seen)}; {sum(one.superseded for one in seen)}",
            ),
            ("closes", _listed(closes)),
            ("refusals", _listed(refusals)),
            ("errors", _listed(errors)),
            ("told to come back later", sum(len(one.told_ms) for one in seen)),
            ("told that the server waits (buffering)", sum(one.buffering for one in seen)),
            (
                "longest that something was not acked, s",
                f"{max((one.longest_wait_s for one in seen), default=0):.1f}",
            ),
            ("server fell back behind an ack", sum(one.fell_back for one in seen)),
            ("audio_lost_seconds_total", f"{self.counted_lost_s:.1f}"),
            ("MB acked", f"{sum(one.acked for one in seen) / 1e6:.1f}"),
            ("seconds stored", f"{stored:.1f}"),
            ("recordings with something wrong", len(self.wrong)),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        lines += [f"NEVER HIT: {name}" for name in self.never_hit()]
        for cid, texts in list(self.wrong.items())[:20]:
            lines += [f"  {cid}: {text}" for text in texts[:4]]
        return "\n".join(lines)


def _sum(counts: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "none"
