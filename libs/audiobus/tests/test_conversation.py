"""Names of conversations."""

import pytest

from audiobus import Conversation
from servicekit.ids import valid_id


@pytest.mark.parametrize(
    "name", ["a", "A0._@-", "x" * 128, "x" * 129, "", "-x", ".x", "a\n", "a b", "ä", "٣", "a/b", "\0", "a:b"]
)
def test_what_may_be_a_name_is_what_the_door_lets_in(name):
    assert Conversation(name, "c").possible == valid_id(name)
    assert Conversation("u", name).possible == valid_id(name)
