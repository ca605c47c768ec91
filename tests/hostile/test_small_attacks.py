"""What takes no more than a few bytes, all of it side by side, while those that only wait are waiting."""

import pytest
import pytest_asyncio

from tapedeck_testing.hostile.attacks.catalogue import KINDS

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = ("framing", "slow", "handshakes", "texts", "ids", "tokens")
TIMES = 2


def attacks_of(kind):
    return [attack for attack in KINDS[kind] if not attack.long]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def verdict(bench):
    return await bench.judge("small", [attack for kind in SMALL for attack in attacks_of(kind)], times=TIMES)


@pytest.mark.parametrize("kind", SMALL)
async def test_each_gets_its_right_answer(verdict, kind):
    names = tuple(f"{attack.name}: " for attack in attacks_of(kind))
    assert [wrong for wrong in verdict.wrong if wrong.startswith(names)] == []


async def test_nothing_is_left_and_nobody_was_disturbed(verdict):
    names = tuple(f"{attack.name}: " for kind in SMALL for attack in attacks_of(kind))
    assert [wrong for wrong in verdict.wrong if not wrong.startswith(names)] == []
