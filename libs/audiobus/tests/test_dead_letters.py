"""What becomes of dead letters, with the books closed after every step."""

import msgspec
import pytest

from audiobus import (
    Bus,
    Conversation,
    ConversationGone,
    Cut,
    CutStands,
    EntryId,
    deletions,
    existing,
    failures,
)
from audiobus import dead_letters as dead
from audiobus.answers import NameGone
from audiobus.census import Balance, exact
from audiobus.dead_fields import named
from audiobus.dead_letters import Found, OtherCut
from audiobus.deletions import discard, drop_cut, gone, set_tombstone, sweep
from audiobus.errors import BadEntryError, BusFullError, NotKnownError
from audiobus.letters_cut import LettersCut, decode_letters_cut, standing

NAME = "chunks/user-1/conv-1/1.000-2.000.batch.bin"


def balance(received: int, stored: int, waiting: int, buried: int, deleted: int) -> Balance:
    """Of ms."""
    return Balance(*(48 * part for part in (received, stored, waiting, buried, deleted)))


async def bury(bus, conversation, offset: int) -> EntryId:
    """The entry that ends there becomes a dead letter."""
    [entry] = [one for one in await bus.read(conversation, count=100) if one.id.offset == offset]
    assert await bus.bury(
        conversation,
        entry,
        reason=f"defect {offset}",
        first_offset=offset - 100,
        samples=entry.counted_samples,
        now_ms=7,
    )
    return entry.id


@pytest.fixture
async def letters(bus, recorder, conversation):
    """Chunks of 100 ms that end at 100 to 600: 200, 400 and 600 are dead letters."""
    await recorder.open()
    for end in (100, 200, 300, 400, 500, 600):
        await recorder.append(end)
    return [await bury(bus, conversation, end) for end in (200, 400, 600)]


async def look(bus, conversation) -> list[Found]:
    return [one async for one in dead.look(bus, conversation)]


async def stops_at(bus, conversation) -> int | None:
    return (await bus.stored(conversation, (await bus.state(conversation)).newest.epoch)).dead_offset


async def write_cut(bus, conversation, ids, *, name=NAME, **fields) -> bytes:
    new = LettersCut(1, tuple(str(one) for one in ids), name, "standard")
    assert await dead.cut(bus, conversation, new, now_ms=5, **fields) == CutStands()
    return new.encode()


async def of(bus, conversation, ids):
    return [one.letter for one in await look(bus, conversation) if EntryId.parse(one.id) in ids]


async def test_a_look_goes_on_after_any_of_them(letters, bus, conversation):
    strange = [b"\xff", b"x" * 5_000, b"05-1", b""]
    for name in strange:
        await bus.command("HSET", bus.keys.dead(conversation), name, "what?")
    found = await look(bus, conversation)
    assert [one.id for one in found[:3]] == [str(one) for one in letters]
    assert {named(one.id) for one in found[3:]} == set(strange)
    for index, one in enumerate(found):
        rest = dead.look(bus, conversation, after=dead.order(named(one.id)))
        assert [each async for each in rest] == found[index + 1 :]


async def test_what_lies_there(letters, bus, conversation):
    found = await look(bus, conversation)
    assert [(one.id, one.letter.reason, one.letter.first_offset) for one in found] == [
        (str(one), f"defect {one.offset}", one.offset - 100) for one in letters
    ]
    assert [one async for one in dead.conversations(bus)] == [conversation]
    await bus.command("HSET", bus.keys.dead(conversation), "what", b"\xc1")
    bad = (await look(bus, conversation))[-1]
    assert (bad.id, bad.letter) == ("what", None)
    assert "dead letter" in bad.defect


async def test_marking_asks_the_pusher_and_moves_nothing(letters, bus, conversation, now_ms):
    before = await exact(bus, conversation)
    assert await dead.asked_for(bus, conversation) is None
    assert await dead.mark(bus, conversation, letters[1], now_ms)
    assert not await dead.mark(bus, conversation, EntryId(1, 1), now_ms)
    partition = bus.keys.partition(conversation)
    assert float(await bus.command("ZSCORE", bus.keys.due(partition), conversation.tag)) == now_ms
    assert await bus.command("XLEN", bus.keys.ready(partition)) == 1
    [letter] = await dead.marked(bus, conversation, 9)
    assert (letter.entry.id, dead.marked_ms(letter), dead.tries(letter)) == (letters[1], now_ms, 0)
    assert await exact(bus, conversation) == before
    # What is in the way stays with it; what it failed of takes the mark off.
    await dead.waits(bus, conversation, [letters[1]], "no key")
    assert dead.last_try((await dead.marked(bus, conversation, 9))[0]) == "no key"
    await dead.failed(bus, conversation, letters[1], "still damaged")
    assert await dead.marked(bus, conversation, 9) == []
    [letter] = await of(bus, conversation, [letters[1]])
    assert (dead.tries(letter), dead.last_try(letter), letter.reason) == (1, "still damaged", "defect 400")
    assert await exact(bus, conversation) == before


async def test_a_mark_that_comes_meanwhile_is_not_forgotten(letters, bus, conversation, now_ms):
    await dead.mark(bus, conversation, letters[0], now_ms)
    seen = await dead.asked_for(bus, conversation)
    await dead.mark(bus, conversation, letters[1], now_ms)
    assert not await dead.none_left(bus, conversation, seen)
    seen = await dead.asked_for(bus, conversation)
    assert await dead.none_left(bus, conversation, seen)
    assert await dead.asked_for(bus, conversation) is None
    assert not await dead.none_left(bus, conversation, seen)


async def test_letters_that_are_stored_go_and_count_as_stored(letters, bus, conversation):
    assert await exact(bus, conversation) == balance(600, 0, 300, 300, 0)
    assert await stops_at(bus, conversation) == 100
    raw = await write_cut(bus, conversation, letters[:1])
    assert await standing(bus, conversation) == raw
    assert decode_letters_cut(raw).ids == (str(letters[0]),)
    first = await of(bus, conversation, letters[:1])
    assert await dead.settle(bus, conversation, raw, first) == 4_800
    assert await dead.settle(bus, conversation, raw, first) is None  # a lost reply
    assert await exact(bus, conversation) == balance(600, 100, 300, 200, 0)
    assert await stops_at(bus, conversation) == 300
    raw = await write_cut(bus, conversation, letters[1:])
    assert await dead.settle(bus, conversation, raw, await of(bus, conversation, letters[1:])) == 9_600
    assert await exact(bus, conversation) == balance(600, 300, 300, 0, 0)
    assert await stops_at(bus, conversation) is None
    assert not await bus.command("EXISTS", bus.keys.dead(conversation))
    # Entries before the last letter still wait: nothing is settled over them.
    assert (await bus.state(conversation)).settled is None


async def test_the_last_thing_recorded_is_settled_with_its_letter(bus, recorder, conversation):
    opened = await recorder.open()
    await recorder.append(100)
    [session, _] = await bus.read(conversation, count=9)
    await bus.command("XDEL", bus.keys.audio(conversation), str(session.id))
    one = await bury(bus, conversation, 100)
    raw = await write_cut(bus, conversation, [one])
    await dead.settle(bus, conversation, raw, await of(bus, conversation, [one]))
    standing = await bus.stored(conversation, opened.epoch)
    assert (standing.settled, standing.dead_offset) == (one, None)


async def test_only_one_cut_of_letters_stands(letters, bus, conversation):
    raw = await write_cut(bus, conversation, letters[:2])
    assert await write_cut(bus, conversation, letters[:2]) == raw  # a lost reply
    other = LettersCut(1, (str(letters[2]),), NAME, "standard")
    assert await dead.cut(bus, conversation, other, now_ms=5) == OtherCut()
    later = await write_cut(bus, conversation, letters[:2], name=NAME.replace("2.000", "2.001"), replaces=raw)
    assert await dead.settle(bus, conversation, raw, await of(bus, conversation, letters[:2])) is None
    assert await exact(bus, conversation) == balance(600, 0, 300, 300, 0)
    assert await gone(bus, conversation) == {}
    assert await dead.cut(bus, conversation, None, replaces=later, gone=NAME, now_ms=5) == CutStands()
    assert await gone(bus, conversation) == {NAME: 5}
    missing = LettersCut(1, (str(EntryId(1, 1)),), NAME, "standard")
    assert await dead.cut(bus, conversation, missing, now_ms=5) == OtherCut()


async def test_a_letter_that_is_dropped_while_it_is_stored_is_not_stored(letters, bus, conversation, now_ms):
    raw = await write_cut(bus, conversation, letters[:2])
    mine = await of(bus, conversation, letters[:2])
    due = bus.keys.due(bus.keys.partition(conversation))
    await bus.command("ZREM", due, conversation.tag)
    assert await discard(bus, conversation, letters[0], now_ms) == 4_800
    assert await gone(bus, conversation) == {NAME: now_ms}
    # Its object is looked for, also where nobody looked at the conversation any more.
    assert await bus.command("ZSCORE", due, conversation.tag) == now_ms
    assert await dead.settle(bus, conversation, raw, mine) is None
    assert await standing(bus, conversation) is None
    assert await exact(bus, conversation) == balance(600, 0, 300, 200, 100)
    again = LettersCut(1, (str(letters[1]),), NAME, "standard")
    assert await dead.cut(bus, conversation, again, now_ms=5) == NameGone()
    # One that the cut does not speak of leaves it alone.
    raw = await write_cut(bus, conversation, letters[1:2], name=NAME.replace("2.000", "2.001"))
    assert await discard(bus, conversation, letters[2], now_ms) == 4_800
    assert await standing(bus, conversation) == raw


@pytest.mark.parametrize("stood", [False, True], ids=["no cut", "another name"])
async def test_a_letter_whose_cut_is_written_while_it_is_dropped_is_not_stored(
    letters, bus, conversation, now_ms, monkeypatch, stood
):
    """Between the look at the cut that stands and the script that drops: what is put under the new name goes again."""
    other = NAME.replace("2.000", "2.001")
    stands = await write_cut(bus, conversation, letters[:2], name=other) if stood else None

    async def then_a_cut(*args):
        nonlocal stands
        seen = await standing(*args)
        if seen == stands:
            await write_cut(bus, conversation, letters[:2], replaces=stands)
            stands = b""
        return seen

    monkeypatch.setattr(deletions, "standing", then_a_cut)
    mine = await of(bus, conversation, letters[:2])
    assert await discard(bus, conversation, letters[0], now_ms) == 4_800
    assert await standing(bus, conversation) is None
    assert await gone(bus, conversation) == {NAME: now_ms}
    raw = LettersCut(1, tuple(str(one) for one in letters[:2]), NAME, "standard").encode()
    assert await dead.settle(bus, conversation, raw, mine) is None
    assert await exact(bus, conversation) == balance(600, 0, 300, 200, 100)


@pytest.mark.parametrize(
    ("stands", "noted"),
    [
        (msgspec.msgpack.encode([2, [], NAME, "standard", [], "of a later version"]), {NAME: 5}),
        (msgspec.msgpack.encode([1, ["no id"], NAME]), {NAME: 5}),
        (msgspec.msgpack.encode([2, [], 3]), {}),
        (b"\xc1 damaged", {}),
        (b"\xa1\xff", {}),
    ],
    ids=["later version", "no ids", "no name", "damaged", "no text"],
)
async def test_a_letters_cut_that_cannot_be_read_goes_with_the_letter_that_is_dropped(
    stands, noted, letters, bus, conversation
):
    await bus.command("HSET", bus.keys.conv(conversation), "again_cut", stands)
    assert await discard(bus, conversation, letters[0], 5) == 4_800
    assert await discard(bus, conversation, letters[0], 5) is None
    assert await standing(bus, conversation) is None
    assert await gone(bus, conversation) == noted
    assert (await bus.state(conversation)).gone is bool(noted)
    # The others can be tried again.
    await write_cut(bus, conversation, letters[1:], name=NAME.replace("2.000", "2.001"))


async def test_nothing_is_stored_under_a_tombstone(letters, bus, conversation, now_ms):
    raw = await write_cut(bus, conversation, letters[:1])
    mine = await of(bus, conversation, letters[:1])
    await dead.mark(bus, conversation, letters[2], now_ms)
    await set_tombstone(bus, conversation, now_ms)
    new = LettersCut(1, (str(letters[1]),), NAME, "standard")
    assert await dead.cut(bus, conversation, new, replaces=raw, now_ms=5) == ConversationGone()
    await sweep(bus, conversation, now_ms)
    assert await dead.settle(bus, conversation, raw, mine) is None
    assert await dead.asked_for(bus, conversation) is None
    assert await exact(bus, conversation) == balance(600, 0, 0, 0, 600)


async def test_what_is_left_of_a_forgotten_conversation_goes_with_its_last_letter(
    bus, recorder, conversation, now_ms
):
    await recorder.open()
    await recorder.append(100)
    [session, _] = await bus.read(conversation, count=9)
    one = await bury(bus, conversation, 100)
    await bus.command("XDEL", bus.keys.audio(conversation), str(session.id))
    assert await bus.forget(conversation, now_ms + 25 * 3_600_000)
    assert await bus.command("PTTL", bus.keys.conv(conversation)) == -1
    raw = await write_cut(bus, conversation, [one])
    await dead.settle(bus, conversation, raw, await of(bus, conversation, [one]))
    assert await bus.command("PTTL", bus.keys.conv(conversation)) > 0
    assert await exact(bus, conversation) == balance(100, 100, 0, 0, 0)


async def test_letters_of_which_nothing_else_is_known(letters, bus, conversation, now_ms):
    await bus.command("DEL", bus.keys.conv(conversation))
    with pytest.raises(NotKnownError, match=conversation.tag):
        await dead.mark(bus, conversation, letters[0], now_ms)
    assert not await bus.command("EXISTS", bus.keys.conv(conversation))
    assert await discard(bus, conversation, letters[0], now_ms) == 4_800


async def test_what_is_no_letter_can_be_neither_marked_nor_passed_over(letters, bus, conversation, now_ms):
    raw = await write_cut(bus, conversation, letters[:1])
    mine = await of(bus, conversation, letters[:1])
    await bus.command("HSET", bus.keys.dead(conversation), str(letters[1]), b"\xc1")
    with pytest.raises(BadEntryError):
        await dead.mark(bus, conversation, letters[1], now_ms)
    with pytest.raises(BadEntryError):
        await dead.settle(bus, conversation, raw, mine)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", msgspec.msgpack.encode([2, [], "", ""]), msgspec.msgpack.encode([1, ["x"], "", ""])],
)
def test_what_is_no_cut_of_letters(data):
    with pytest.raises(BadEntryError, match="cut of dead letters"):
        decode_letters_cut(data)


@pytest.mark.parametrize("server", ["redis_7_url", "redis_62_url"])
async def test_letters_are_dealt_with_when_memory_is_full(server, request, recorder_on, now_ms):
    """Storing them is what makes room."""
    conversation = Conversation("user-1", "conv-1")
    async with Bus(request.getfixturevalue(server), prefix="t-full-letters:") as bus:
        for key in await bus.command("KEYS", f"{bus.keys.prefix}*"):
            await bus.command("DEL", key)
        recorder = recorder_on(bus)
        await recorder.open()
        for end in (100, 200, 300, 400):
            await recorder.append(end)
        letters = [await bury(bus, conversation, end) for end in (200, 300)]
        await bus.command("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(BusFullError):
                await recorder.append(500)
            assert await dead.mark(bus, conversation, letters[0], now_ms)
            await dead.waits(bus, conversation, letters[:1], "no key")
            assert await failures.note(bus, conversation, "why", now_ms) == 1
            raw = await write_cut(bus, conversation, letters[:1])
            mine = await of(bus, conversation, letters[:1])
            assert await dead.settle(bus, conversation, raw, mine) == 4_800
            await dead.failed(bus, conversation, letters[1], "still")
            seen = await dead.asked_for(bus, conversation)
            assert await dead.none_left(bus, conversation, seen)
            raw = await write_cut(bus, conversation, letters[1:])
            assert (
                await dead.cut(bus, conversation, None, replaces=raw, gone=NAME, now_ms=now_ms) == CutStands()
            )
            state = await bus.state(conversation)
            cut = Cut(1, str(state.newest), str(state.newest), NAME, "standard", "size")
            later = Cut(1, cut.first, cut.last, NAME.replace("2.000", "2.001"), "standard", "size")
            assert await bus.cut(conversation, later, settled=state.settled) == CutStands()
            assert await drop_cut(bus, conversation, later.encode(), later.name, now_ms)
            assert await exact(bus, conversation) == balance(400, 100, 200, 100, 0)
        finally:
            await bus.command("CONFIG", "SET", "maxmemory", "0")


@pytest.mark.usefixtures("letters")
async def test_which_of_many_conversations_have_some(bus, conversation, monkeypatch):
    monkeypatch.setattr(existing, "TOGETHER", 3)
    others = [Conversation("user-1", f"other-{number}") for number in range(7)]
    assert await dead.having(bus, [*others[:5], conversation, *others[5:]]) == {conversation}
    assert await dead.having(bus, others) == set()
    assert await dead.having(bus, []) == set()
