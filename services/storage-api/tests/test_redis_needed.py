"""What a route answers where Redis is away."""

import pytest

from audiobus.errors import BusContractError, BusFullError, BusUnavailableError
from servicekit.problem import ProblemError
from storage_api.redis_needed import HARMLESS, redis_needed


@pytest.mark.parametrize("error", [BusUnavailableError, BusFullError])
@pytest.mark.parametrize("detail", [None, "what waits cannot be reached"])
def test_redis_away_is_503_with_the_routes_own_words(error, detail):
    needed = redis_needed() if detail is None else redis_needed(detail)
    with pytest.raises(ProblemError) as told, needed:
        raise error("away")
    assert (told.value.status, told.value.code, told.value.detail) == (
        503,
        "live_unavailable",
        detail or HARMLESS,
    )
    assert told.value.headers == {"Retry-After": "2"}


def test_what_is_no_absence_passes():
    with pytest.raises(BusContractError), redis_needed():
        raise BusContractError("a defect")
