"""Runs cases and sums up what came of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from audiostore.batch import Batch
from tapedeck_testing.seams.case import Case, make_case
from tapedeck_testing.seams.drainer import Drainer, Put
from tapedeck_testing.seams.judge import WANTED_DB, Seam, judge
from tapedeck_testing.seams.recorder import Recorder


@dataclass(slots=True)
class Summary:
    """Of many cases."""

    cases: int = 0
    deaths: int = 0
    """Sockets that died, and were resumed from what was acked."""
    kills: int = 0
    """Pushers that died after a cut or a put."""
    batches: int = 0
    seams: list[Seam] = field(default_factory=list)
    restarts_db: list[float] = field(default_factory=list)
    lags: list[int] = field(default_factory=list)

    @property
    def heard(self) -> list[Seam]:
        """The seams at which the device sent sound: where it sent none, each decoder makes up noise of its own."""
        return [seam for seam in self.seams if seam.mode != "dtx"]

    @property
    def below(self) -> list[Seam]:
        """Those of them that miss what is wanted."""
        return [seam for seam in self.heard if seam.db < WANTED_DB]

    def lines(self) -> Iterator[str]:
        """As a table."""
        yield (
            f"{self.cases} cases, {self.batches} batches, {len(self.seams)} seams, {self.deaths} sockets and {self.kills} pushers killed"
        )
        yield f"{'packet':8} {'cut':8} {'seams':>6} {'< 35':>5} {'min':>6} {'1 %':>6} {'median':>6} {'> 320 ms':>8}"
        kinds = sorted({(seam.mode, seam.asked) for seam in self.seams})
        for mode, asked in kinds:
            found = sorted(
                (seam for seam in self.seams if (seam.mode, seam.asked) == (mode, asked)),
                key=lambda seam: seam.db,
            )
            values = [seam.db for seam in found]
            longer = sum(seam.preroll_ms >= 340 for seam in found)
            yield (
                f"{mode:8} {'asked' if asked else 'chosen':8} {len(values):6} {sum(value < WANTED_DB for value in values):5} "
                f"{values[0]:6.1f} {values[len(values) // 100]:6.1f} {values[len(values) // 2]:6.1f} {longer:8}"
            )
        restarts = sorted(self.restarts_db)
        if restarts:
            yield (
                f"encoders that began anew without a gap: {len(restarts)}; a decoder that does not begin anew with them is off by "
                f"{restarts[0]:.1f} dB (min), {restarts[len(restarts) // 2]:.1f} dB (median)"
            )
        lags = Counter(map(abs, self.lags))
        yield f"samples between microphone and file, at 48 kHz: {dict(sorted(lags.items()))}"
        for seam in self.below:
            yield f"below: {seam}; {make_case(seam.case)}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one case."""

    case: Case
    puts: Sequence[Put]
    batches: Sequence[Batch]


def run_case(case: Case, into: Summary) -> Outcome:
    """Plays, stores and judges one case."""
    tape = Recorder(case).play()
    drainer = Drainer(tape)
    puts = drainer.drain()
    verdict = judge(tape, puts)
    into.cases += 1
    into.deaths += tape.deaths
    into.kills += drainer.kills
    into.batches += len(puts)
    into.seams += verdict.seams
    into.restarts_db += verdict.restarts_db
    into.lags += verdict.lags
    return Outcome(case, puts, verdict.batches)


def run_cases(numbers: Iterable[int]) -> Summary:
    """All of these. AssertionError, with the case, where audio is missing, double or elsewhere."""
    summary = Summary()
    for number in numbers:
        case = make_case(number)
        try:
            run_case(case, summary)
        except AssertionError as error:
            error.add_note(str(case))
            raise
    return summary
