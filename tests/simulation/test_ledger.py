"""The ledger of a world: what was appended, and what of it was damaged."""

import pytest

from audiobus import AppendRequest, Conversation, EntryId, Position
from audiobus.keys import Keys
from audiobus.script import script
from tapedeck_testing.simulation.chance import Chance
from tapedeck_testing.simulation.ledger import DAMAGED, Held, Ledger
from tapedeck_testing.simulation.redis_model import RedisModel

NOW_MS = 1_764_000_000_000
CHUNK = b"\x9d\x01\xcf" + NOW_MS.to_bytes(8, "big") + b"the rest"
TAG = "u/c"


@pytest.fixture
def model():
    model = RedisModel(lambda: NOW_MS)
    model.execute(["HSET", "td:conv:{u/c}", "owner", "me", "newest", "7-0"])
    return model


def append(first: int, end: int):
    request = AppendRequest(
        Conversation("u", "c"),
        "me",
        EntryId(7, first),
        EntryId(7, end),
        CHUNK,
        480,
        Position(NOW_MS, 0),
        NOW_MS,
    )
    keys, args = request.command(Keys())
    return ("EVAL", script("append").source, len(keys), *keys, *args)


def execute(model, ledger, args):
    assert ledger.appends(args)
    args = ledger.spoil(args)
    model.execute(args)
    ledger.note(args)


def test_what_went_in_is_noted(model):
    ledger = Ledger(model, Chance(1, []))
    execute(model, ledger, append(0, 90))
    execute(model, ledger, append(40, 120))  # refused: it does not follow
    assert ledger.of(TAG) == [Held(EntryId(7, 90), 0, NOW_MS)]
    assert ledger.of("u/d") == []
    assert not ledger.appends(("EVAL", script("cut").source, 3, "a", "b", "c", "", "", "", ""))


def test_what_was_damaged_is_known(model):
    ledger = Ledger(model, Chance(1, {DAMAGED: 1.0}))
    execute(model, ledger, append(0, 90))
    [held] = ledger.of(TAG)
    assert held.damaged
    [[_, fields]] = model.execute(["XRANGE", "td:audio:{u/c}", "-", "+"])
    assert fields[1] != CHUNK
