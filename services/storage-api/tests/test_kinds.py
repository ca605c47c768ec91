"""The kinds of operations: everything that a route begins is carried out."""

from storage_api.deletion.notes import KIND
from storage_api.deletion.user_audio import UserAudio
from storage_api.kinds import KINDS, kinds_of


async def test_what_a_route_begins_is_carried_out(api):
    assert isinstance(kinds_of(api.services)[KIND], UserAudio)


async def test_each_kind_is_made_over_the_services(api):
    kinds = kinds_of(api.services)
    assert kinds.keys() == KINDS.keys()
    assert all(callable(kind) for kind in kinds.values())
