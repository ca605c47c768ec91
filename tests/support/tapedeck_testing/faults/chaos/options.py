"""What a run of chaos was asked for."""

from dataclasses import dataclass, field
from typing import Final

from tapedeck_testing.faults.chaos.kinds import KINDS, Kind, StoreKind, Topology, applicable
from tapedeck_testing.faults.report import Options

LEASE_S: Final = 3.0
"""Short, so that a stop beyond it is over soon."""
SILENT_S: Final = 6.0
"""How long devices stand a line from which nothing comes."""
DRAIN_S: Final = 6.0


@dataclass(frozen=True, slots=True)
class ChaosOptions:
    """What is run. `soak` holds what is said of the devices."""

    soak: Options
    topology: Topology = "single"
    store: StoreKind = "gcs"
    fallback: bool = False
    pushers: int = 3
    listens: int = 2
    readers: int = 2
    only: tuple[str, ...] = field(default=())
    """Kinds; all that apply where none is named."""

    @property
    def recorded_at_most_s(self) -> float:
        """What devices could record; they are told to end when the last fault is over."""
        return 2 * self.soak.seconds + 600

    def kinds(self) -> list[Kind]:
        """The kinds of this run. ValueError: one is named that there is not, or that does not apply."""
        found = applicable(self.topology, self.store, fallback=self.fallback, lose=self.soak.lose)
        if not self.only:
            return found
        if unknown := set(self.only) - {kind.name for kind in found}:
            raise ValueError(f"no kinds of such a run: {sorted(unknown)}; there are {sorted(KINDS)}")
        return [kind for kind in found if kind.name in self.only]
