import pytest

from storage_api.problem_codes import PROBLEM_CODES
from tapedeck.storage import remedies


def test_every_code_with_a_remedy_is_one_of_the_api():
    assert set(remedies._OF_CODES) <= set(PROBLEM_CODES)


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("merging", 409, "merge is done"),
        ("not_found", 404, "tapedeck ls"),
        ("flush_timeout", 504, "goes on"),
        ("x", 409, ""),
    ],
)
def test_the_code_goes_before_the_status(code, status, said):
    found = remedies.remedy(code, status)
    assert said in found
    assert bool(found) == bool(said)
