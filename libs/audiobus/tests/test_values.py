"""Keys, ids, conversations, cuts, states and addresses."""

import pytest

from audiobus import Conversation, ConversationState, Cut, EntryId, Keys, decode_cut
from audiobus.connection import is_cluster, open_client
from audiobus.errors import BadEntryError, BadUrlError
from audiobus.state import STATE_FIELDS


def test_keys_are_those_of_the_architecture():
    keys = Keys("td:", 16)
    conversation = Conversation("u", "c")
    assert keys.audio(conversation) == "td:audio:{u/c}"
    assert keys.conv(conversation) == "td:conv:{u/c}"
    assert keys.dead(conversation) == "td:dead:{u/c}"
    assert keys.lease(conversation) == "td:lease:{u/c}"
    assert keys.tomb(conversation) == "td:tomb:{u/c}"
    assert keys.user_tomb("u") == "td:tomb:{u}"
    assert keys.user("u") == "td:user:{u}"
    assert keys.ready(3) == "td:ready:{3}"
    assert keys.due(3) == "td:due:{3}"
    assert keys.conversation_of_audio(b"td:audio:{u/c}") == conversation
    with pytest.raises(ValueError, match="no buffer"):
        keys.conversation_of_audio("td:conv:{u/c}")


def test_partitions_are_stable_and_spread():
    keys = Keys("td:", 16)
    found = {keys.partition(Conversation("u", f"c{n}")) for n in range(1000)}
    assert found == set(range(16))
    assert keys.partition(Conversation("u", "c")) == keys.partition(Conversation("u", "c"))


@pytest.mark.parametrize("tag", ["", "u", "/", "u/", "/c", "u/c/d"])
def test_what_is_no_conversation(tag):
    with pytest.raises(ValueError, match="uid/conversation"):
        Conversation.from_tag(tag)


def test_entry_ids_are_ordered_as_redis_orders_them():
    assert EntryId(2, 0) > EntryId(1, 999) > EntryId(1, 1000 - 2)
    assert EntryId.parse(b"17-5") == EntryId(17, 5)
    assert str(EntryId(17, 5).next()) == "17-6"
    assert EntryId.parse_or_none(b"") is None


@pytest.mark.parametrize("text", ["", "1", "-", "1-", "-1", "1-2-3", "a-b", "1--2", "１-2x"])
def test_what_is_no_entry_id(text):
    with pytest.raises(ValueError, match="epoch-offset"):
        EntryId.parse(text)


def test_a_cut_of_another_version_is_refused():
    cut = Cut(version=2, first="1-0", last="1-5", name="", protection="standard", reason="size")
    with pytest.raises(BadEntryError, match="version 2"):
        decode_cut(cut.encode())


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x93\x01\x02\x03", b"\xff" * 20])
def test_what_is_no_cut(data):
    with pytest.raises(BadEntryError):
        decode_cut(data)


def test_a_state_with_foreign_fields_is_refused():
    values = [None] * len(STATE_FIELDS)
    assert not ConversationState.from_values(values).exists
    values[1] = b"nonsense"
    with pytest.raises(BadEntryError):
        ConversationState.from_values(values)


def test_a_preroll_that_is_none_stops_nobody():
    values = [None] * len(STATE_FIELDS)
    values[STATE_FIELDS.index("preroll")] = b"\xc1damaged"
    assert ConversationState.from_values(values).preroll is None


@pytest.mark.parametrize("url", ["", "http://x", "localhost:6379", "redis+carrier://x"])
def test_addresses_that_cannot_be_used(url):
    with pytest.raises(BadUrlError):
        open_client(url)


def test_addresses_tell_a_cluster():
    assert is_cluster("redis+cluster://h:1")
    assert not is_cluster("rediss://h:1/0")
