"""The span of one batch: from the cut that stands to what came of it, linked to the sessions whose audio is in it.

Owns what is told of it. Where traces are off nothing is made.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pusher.store_put import Outcome, Prepared
from servicekit.tracing import Tracing

Tell = Callable[[Outcome, str], None]
"""Takes what came of it, and in which bucket."""


@dataclass(frozen=True, slots=True)
class BatchSpans:
    """Of one process."""

    tracing: Tracing = field(default_factory=Tracing)

    @contextmanager
    def around(self, prepared: Prepared) -> Iterator[Tell]:
        """Around storing it."""
        if not self.tracing.on:
            yield lambda outcome, bucket: None  # noqa: ARG005 - nobody is told
            return
        about = {
            "conversation_id": prepared.conversation.cid,
            "reason": prepared.cut.reason,
            "audio_seconds": prepared.built.samples / 48_000,
            "bytes": len(prepared.built.data),
        }
        with self.tracing.span("batch", about, links=prepared.built.traces) as span:

            def tell(outcome: Outcome, bucket: str) -> None:
                if span is not None:
                    span.tell({"outcome": outcome.name.lower(), "bucket": bucket})

            yield tell
