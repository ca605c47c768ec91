"""What a route answers where it needs Redis and Redis is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from audiobus.errors import BusUnavailableError
from servicekit.problem import ProblemError

HARMLESS: Final = "Redis cannot be reached at the moment; try again, it does no harm twice"


@contextmanager
def redis_needed(detail: str = HARMLESS) -> Iterator[None]:
    """ProblemError 503 `live_unavailable`, with this detail, where Redis does not answer inside. What was to be written may be written or not."""
    try:
        yield
    except BusUnavailableError as error:
        raise ProblemError(503, "live_unavailable", detail, headers={"Retry-After": "2"}) from error
