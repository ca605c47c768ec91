"""What came of a run of chaos, and the table of it for people."""

from collections import Counter
from dataclasses import dataclass, field

from tapedeck_testing.faults.chaos.kinds import Kind
from tapedeck_testing.faults.chaos.options import ChaosOptions
from tapedeck_testing.faults.reading import Reads
from tapedeck_testing.faults.verdict import Account, seconds


@dataclass(slots=True)
class Tally:
    """How often each kind was done, and how often it has hit."""

    done: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    """Faults that hit, however often each."""
    hits: Counter[str] = field(default_factory=Counter)
    """… counted as its kind says."""
    trouble: list[str] = field(default_factory=list)
    """Faults that could not be carried out to their end: what they need was away."""

    def note(self, kind: Kind, hits: int) -> None:
        """One fault is over."""
        self.done[kind.name] += 1
        self.hit[kind.name] += hits > 0
        self.hits[kind.name] += hits


@dataclass(slots=True)
class ChaosOutcome:
    """What came of it."""

    options: ChaosOptions
    planned: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)
    accounts: list[Account] = field(default_factory=list)
    reads: Reads = field(default_factory=Reads)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def never_hit(self) -> list[str]:
        """Kinds that were planned and have hit nothing: a run with one of them proves too little."""
        return sorted(name for name in self.planned if not self.tally.hit[name])

    @property
    def failed(self) -> bool:
        """Whether the run is no proof, or one of the contrary."""
        return bool(self.wrong or self.never_hit() or self.reads.broken)

    def table(self) -> str:
        """For people."""
        options, seen = self.options, [account.seen for account in self.accounts]
        stored = seconds(sum(account.samples for account in self.accounts))
        rows = [
            ("seed", str(options.soak.seed)),
            ("Redis, store", f"{options.topology}, {options.store}{' with fallback' * options.fallback}"),
            ("pushers, listens, sockets", f"{options.pushers}, {options.listens}, {options.soak.sockets}"),
            ("seconds", f"{options.soak.seconds:.0f}"),
            ("faults done; that hit", f"{self.tally.done.total()}; {self.tally.hit.total()}"),
            (
                "connections; resumed; superseded",
                f"{sum(one.connects for one in seen)}; {sum(one.resumed for one in seen)}; {sum(one.superseded for one in seen)}",
            ),
            ("MB acked", f"{sum(one.acked for one in seen) / 1e6:.1f}"),
            ("seconds stored", f"{stored:.1f}"),
            ("longest without an ack, s", f"{max((one.longest_wait_s for one in seen), default=0):.1f}"),
            (
                "reads that held all that was acked",
                f"{self.reads.complete} ({self.reads.live} of the newest; {self.reads.at_rest} at rest)",
            ),
            ("reads refused", str(dict(sorted(self.reads.refused.items())))),
            ("reads that broke the promise", str(len(self.reads.broken))),
            *self.notes.items(),
            ("recordings, or sums, with something wrong", str(len(self.wrong))),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        lines += ["", f"{'fault':<32} {'planned':>7} {'done':>5} {'hit':>5} {'hits':>7}"]
        for name, planned in sorted(self.planned.items()):
            done, hit, hits = self.tally.done[name], self.tally.hit[name], self.tally.hits[name]
            lines.append(f"{name:<32} {planned:>7} {done:>5} {hit:>5} {hits:>7}")
        lines += [f"NEVER HIT: {name}" for name in self.never_hit()]
        lines += [f"READ: {text}" for text in self.reads.broken]
        lines += [f"not carried out: {text}" for text in self.tally.trouble[:10]]
        for about, texts in list(self.wrong.items())[:20]:
            lines += [f"WRONG {about}: {text}" for text in texts[:6]]
        return "\n".join(lines)
