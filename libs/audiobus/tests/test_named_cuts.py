"""Which names cuts that stand speak of."""

import msgspec
import pytest

from audiobus import Cut
from audiobus.cut import VERSION
from audiobus.errors import BadEntryError
from audiobus.letters_cut import LettersCut
from audiobus.named_cuts import named_by_cuts

NAME = "chunks/alice/talk/1.000-2.000.batch.bin"
OTHER = "chunks/alice/talk/1.000-2.001.batch.bin"


async def test_the_cut_of_the_buffer_and_that_of_the_dead_letters(bus, conversation):
    cuts = {
        "cut": Cut(VERSION, "1-0", "1-100", NAME, "standard", "size"),
        "again_cut": LettersCut(1, ("1-100",), OTHER, "standard"),
    }
    found = []
    assert await named_by_cuts(bus, conversation) == []
    for field, cut in cuts.items():
        await bus.command("HSET", bus.keys.conv(conversation), field, cut.encode())
        found.append(cut.name)
        assert await named_by_cuts(bus, conversation) == found


@pytest.mark.parametrize("field", ["cut", "again_cut"])
async def test_one_that_cannot_be_read(bus, conversation, field):
    await bus.command("HSET", bus.keys.conv(conversation), field, b"no cut")
    with pytest.raises(BadEntryError):
        await named_by_cuts(bus, conversation)


async def test_of_another_version_for_the_dead_letters_its_name_counts(bus, conversation):
    raw = msgspec.msgpack.encode([9, {"of": "a kind not known yet"}, NAME, "more"])
    await bus.command("HSET", bus.keys.conv(conversation), "again_cut", raw)
    assert await named_by_cuts(bus, conversation) == [NAME]
