"""Plain clients that wait for nothing: they name their next conversations while the first is not open yet, or not safe yet."""

import random

import pytest

from listen.actions import AskToStore, Close, Open
from listen.pressure import MAX_WAITING_SAMPLES
from listen.upcoming import MAX_UPCOMING

SECOND = bytes([128]) * 8_000
HALF = SECOND[:4_000]


@pytest.fixture
def ahead(closed_desk):
    """A desk of a plain device whose session is not open yet; `catch_up` opens it."""
    return lambda **kwargs: closed_desk("plain", "pcm8", 8_000, automatic=False, **kwargs).start()


def catch_up(table):
    table.automatic = True
    table.do([])


def change(table, cid):
    table.say(type="conversation", conversation_id=cid)


def halves(table, *cids):
    """Half seconds in each."""
    return [len(table.pcm(cid)) / 8_000 for cid in cids]


@pytest.mark.parametrize("leaves", ["before it is open", "after it"])
def test_before_the_first_is_open_each_gets_its_own(ahead, leaves):
    table = ahead()
    table.send(SECOND)
    change(table, "conv-2")
    table.send(HALF)
    change(table, "conv-3")
    table.send(SECOND)
    if leaves == "before it is open":
        table.leave()
    catch_up(table)
    table.leave()
    assert halves(table, "conv-1", "conv-2", "conv-3") == [2, 1, 2]
    assert [one.conversation_id for one in table.opens] == ["conv-1", "conv-2", "conv-3"]
    assert table.codes == [1006]


def test_the_very_first_message_may_change_it(ahead):
    table = ahead()
    change(table, "conv-2")
    table.send(HALF)
    catch_up(table)
    table.leave()
    assert halves(table, "conv-1", "conv-2") == [0, 1]


def test_while_the_first_is_made_safe_each_gets_its_own(desk):
    table = desk("plain", "pcm8", 8_000)
    table.send(SECOND)
    table.automatic = False
    change(table, "conv-2")
    table.send(HALF)
    change(table, "conv-3")
    change(table, "conv-1")
    table.send(SECOND)
    catch_up(table)
    table.leave()
    assert halves(table, "conv-1", "conv-2", "conv-3") == [4, 1, 0]
    asked = [hint.conversation_id for hint in table.hints if isinstance(hint, AskToStore)]
    assert asked == ["conv-1", "conv-2", "conv-3"]


@pytest.mark.parametrize("end", ["leave", "shutdown", "close"])
def test_what_nothing_was_sent_for_is_opened_only_for_who_waits(ahead, end):
    table = ahead()
    table.send(HALF)
    change(table, "conv-2")
    if end == "leave":
        table.leave()
    elif end == "shutdown":
        table.do(table.session.leave(table.now_ms))
    else:
        table.say(type="close")
    catch_up(table)
    opened = [one.conversation_id for one in table.opens]
    assert opened == (["conv-1", "conv-2"] if end == "close" else ["conv-1"])
    assert halves(table, "conv-1") == [1]
    assert table.codes == [{"leave": 1006, "shutdown": 1012, "close": 1000}[end]]


def test_who_sent_nothing_and_leaves_opens_nothing(ahead):
    table = ahead()
    change(table, "conv-2")
    table.say(type="finalize")
    table.leave()
    table.one(Close)
    assert table.codes == [1006]
    assert table.opens == []


@pytest.mark.parametrize("gone", [False, True])
def test_a_close_ends_the_last_of_them_and_nothing_after_it_counts(ahead, gone):
    table = ahead()
    table.send(HALF)
    change(table, "conv-2")
    table.send(HALF)
    table.say(type="close")
    table.send(SECOND)
    change(table, "conv-3")
    if gone:
        table.leave()
    catch_up(table)
    assert halves(table, "conv-1", "conv-2", "conv-3") == [1, 1, 0]
    ends = [(hint.conversation_id, hint.reason) for hint in table.hints if isinstance(hint, AskToStore)]
    assert ends == [("conv-1", "switch"), ("conv-2", "end")]
    assert table.codes == [1000]


# -- finalize


def test_while_a_finalize_waits_for_the_bucket_later_ones_may_be_named(desk):
    table = desk("plain", "pcm8", 8_000)
    table.send(SECOND)
    table.say(type="finalize")
    change(table, "conv-2")
    table.wait(300)
    change(table, "conv-3")
    table.wait(100)
    assert len(table.opens) == 1  # nothing to be made safe: the bucket is waited for
    table.send(HALF)
    table.wait(100)
    assert [one.conversation_id for one in table.opens] == ["conv-1", "conv-2", "conv-3"]
    table.leave()
    assert halves(table, "conv-1", "conv-2", "conv-3") == [2, 0, 1]


def test_a_finalize_is_for_the_conversation_that_was_named_last_before_it(ahead):
    table = ahead()
    table.send(SECOND)
    table.say(type="finalize")
    change(table, "conv-2")
    table.send(HALF)
    table.say(type="finalize")
    table.send(HALF)
    catch_up(table)
    assert table.of("finalized") == [{"type": "finalized", "offset": 8_000, "stored": False}]
    asked = [hint for hint in table.hints if isinstance(hint, AskToStore) and hint.reason == "finalize"]
    assert [(hint.conversation_id, hint.newest.offset) for hint in asked][-1] == ("conv-2", 4_000)
    table.wait(15_100)
    assert table.of("finalized")[1:] == [{"type": "finalized", "offset": 4_000, "stored": False}]
    table.leave()
    assert halves(table, "conv-1", "conv-2") == [2, 2]


# -- its time


def test_audio_lies_where_it_arrived_not_where_its_conversation_was_opened(ahead):
    table = ahead()
    began_ms = table.now_ms
    for cid in ("conv-1", "conv-2", "conv-3"):
        if cid != "conv-1":
            change(table, cid)
        table.wait(500)
        table.send(HALF)
        table.wait(2_500)
    catch_up(table)
    table.leave()
    starts = [table.spans(cid)[0].run_start_ms for cid in ("conv-1", "conv-2", "conv-3")]
    assert starts == [began_ms, began_ms + 3_000, began_ms + 6_000]
    assert [one.arrived_ms for one in table.opens[1:]] == [began_ms + 3_000, began_ms + 6_000]


def test_a_mark_is_for_the_conversation_that_was_named_last_before_it(ahead):
    table = ahead()
    table.send(HALF)
    change(table, "conv-2")
    table.say(type="mark", at_ms=table.now_ms - 60_000)
    change(table, "conv-2")  # again, and nothing was sent for it: no mark counts
    table.say(type="mark", at_ms=table.now_ms - 30_000)
    table.send(HALF)
    catch_up(table)
    table.leave()
    assert table.spans("conv-1")[0].run_start_ms == table.now_ms - 500
    assert table.spans("conv-2")[0].run_start_ms == table.now_ms - 30_000
    assert len(table.opens) == 2


# -- its bounds


def test_audio_of_all_of_them_counts_as_waiting(ahead):
    table = ahead()
    for number in range(7):
        table.send(SECOND)
        change(table, f"conv-{number + 2}")
    assert table.session.load.waiting_samples == 7 * 48_000 < MAX_WAITING_SAMPLES
    assert table.session.reading
    table.send(SECOND)
    assert not table.session.reading
    catch_up(table)
    assert table.session.reading
    table.wait(2_100)  # the encoder's lookahead too
    assert table.session.load.waiting_samples == 0


def test_with_so_many_ahead_it_is_not_read_until_half_of_them_are_open(ahead):
    table = ahead()
    for number in range(MAX_UPCOMING):
        assert table.session.reading
        change(table, f"next-{number}")
    assert not table.session.reading
    while not table.session.reading:
        table.one()
    assert len(table.opens) == MAX_UPCOMING // 2
    catch_up(table)
    assert len(table.opens) == MAX_UPCOMING + 1
    assert table.session.reading


@pytest.mark.parametrize("cid", [None, "", "../x"])
def test_a_name_that_is_none_changes_nothing(ahead, cid):
    table = ahead()
    table.send(HALF)
    change(table, cid)
    table.send(HALF)
    catch_up(table)
    table.leave()
    assert table.of("error")[0]["code"] == "bad_parameter"
    assert halves(table, "conv-1") == [2]


# -- in any order


class Device:
    """A device that says whatever comes to its mind, to a Redis that takes its time; it knows what belongs where."""

    def __init__(self, table, seed):
        self.table = table
        self.random = random.Random(seed)
        self.sent: dict[str, list[bytes]] = {}
        """By conversation."""
        self.cid = "conv-1"
        self.names = ["conv-1"]

    def live(self):
        for _ in range(self.random.randint(5, 60)):
            self.random.choices(
                [self.speak, self.change, self.finalize, self.linger, self.answer], [9, 2, 1, 1, 7]
            )[0]()
            if not self.table.session.reading:
                catch_up(self.table)
                self.table.automatic = False
        end = self.random.choice(["close", "leave", "shutdown"])
        if end == "close":
            self.table.say(type="close")
        if end == "shutdown":
            self.table.do(self.table.session.leave(self.table.now_ms))
        if end == "leave" or self.random.random() < 0.5:
            self.table.leave()
        catch_up(self.table)
        while not self.table.codes:
            self.table.wait(100)

    def speak(self):
        said = self.sent.setdefault(self.cid, [])
        said.append(bytes([0x48]) + len(self.sent).to_bytes() + len(said).to_bytes(2))
        self.table.send(said[-1])

    def change(self):
        if self.random.random() < 0.7:
            self.names.append(f"conv-{len(self.names) + 1}")
        self.cid = self.random.choice(self.names) if self.random.random() < 0.3 else self.names[-1]
        change(self.table, self.cid)

    def finalize(self):
        self.table.say(type="finalize")

    def linger(self):
        self.table.wait(self.random.choice([20, 100, 900]))

    def answer(self):
        """Redis answers some of what it was asked, or is away for a moment."""
        for _ in range(min(len(self.table.actions), self.random.randint(0, 4))):
            if isinstance(self.table.actions[0], Open) and self.random.random() < 0.2:
                self.table.actions.pop(0)
                self.table.do(self.table.session.unavailable("open", self.table.now_ms))
            else:
                self.table.one()


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_whatever_it_says_and_when_each_conversation_has_what_was_sent_for_it(closed_desk, first):
    for seed in range(first, first + 50):
        table = closed_desk("plain", "opus", automatic=False).start()
        device = Device(table, seed)
        device.live()
        stored = {
            cid: [packet for span in table.spans(cid) for packet in span.packets] for cid in device.names
        }
        assert {cid: packets for cid, packets in stored.items() if packets} == device.sent, f"seed {seed}"
