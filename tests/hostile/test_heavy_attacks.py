"""What is much, or many: each alone, so that what it costs is its own."""

import pytest

from tapedeck_testing.hostile.attacks.catalogue import KINDS

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEAVY = [
    attack for kind in ("endless", "floods", "crowds", "http") for attack in KINDS[kind] if not attack.long
]
TIMES = 2
A_CROWD = 20


@pytest.mark.parametrize("attack", HEAVY, ids=lambda attack: attack.name)
async def test_it_is_answered_and_leaves_nothing_behind(bench, attack):
    verdict = await bench.judge(attack.name, [attack], times=A_CROWD if attack in KINDS["crowds"] else TIMES)
    assert verdict.holds, verdict.wrong


async def test_audio_that_is_none_all_kinds_at_once(bench):
    verdict = await bench.judge("audio", KINDS["audio"], times=1)
    assert verdict.holds, verdict.wrong
