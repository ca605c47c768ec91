"""A Redis that lost what it had confirmed, and a client that sends nothing any more: each answer and each end notices it."""

import pytest

from audiobus import EntryId, Opened, Replaced
from listen.actions import AskToStore, Left, LookStored, Lost, Open, SendText, Watch
from tapedeck_testing.listening.desk import CID

TOLD_MS = 15_000


def everything(packets, seconds=4):
    return packets[: 50 * seconds]


@pytest.fixture
def recorded(desk, packets):
    """A session that has four seconds acked, in as many entries."""

    def make(**options):
        table = desk(codec="opus", **options)
        for packet in everything(packets):
            table.send(packet)
        assert table.acked == table.newest.offset == sum(map(len, everything(packets)))
        assert len(table.entries) == 4
        return table

    return make


def in_redis(table):
    return [packet for span in table.runs() for packet in span.packets]


def lost(table):
    return sum(count.amount for count in table.counts if count.what == "lost_samples")


ENDS = {
    "close": (lambda table: table.say(type="close"), 1000),
    "leave": (lambda table: table.do(table.session.leave(table.now_ms)), 1012),
    "gone": (lambda table: table.leave(), 1006),
    "replaced": (lambda table: table.do(table.session.superseded(table.now_ms)), 4409),
    "unreadable": (lambda table: table.do(table.session.unreadable(1007, "no text", table.now_ms)), 1007),
    "conversation": (lambda table: table.say(type="conversation", conversation_id="conv-2"), None),
}


@pytest.mark.parametrize("keep", [3, 1, 0])
@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_a_session_what_redis_lost_is_written_again_first(recorded, packets, end, keep):
    table = recorded()
    table.lose(keep)
    how, code = ENDS[end]
    how(table)
    assert in_redis(table) == everything(packets)
    assert [entry[1].offset for entry in table.entries] == sorted(
        {entry[1].offset for entry in table.entries}
    )
    assert lost(table) == 0
    assert table.codes == ([] if code is None else [code])
    assert "unavailable" not in [error["code"] for error in table.of("error")]


@pytest.mark.parametrize("end", ["close", "conversation"])
@pytest.mark.parametrize("keep", [3, 0])
def test_storing_is_asked_for_when_everything_is_there_again(recorded, packets, end, keep):
    table = recorded()
    table.lose(keep)
    ENDS[end][0](table)
    asked = [hint for hint in table.hints if isinstance(hint, AskToStore)]
    assert [(one.newest.offset, one.ends) for one in asked] == [(sum(map(len, everything(packets))), True)]


@pytest.mark.parametrize("keep", [3, 1, 0])
def test_finalize_notices_and_is_asked_again_after_the_last_chunk(recorded, packets, keep):
    table = recorded()
    table.lose(keep)
    table.say(type="finalize")
    assert in_redis(table) == everything(packets)
    asked = [hint for hint in table.hints if isinstance(hint, AskToStore)]
    assert [one.newest for one in asked] == [table.newest]
    table.settled = table.newest
    table.wait(1_000)
    assert table.of("finalized")[-1] == {"type": "finalized", "offset": table.newest.offset, "stored": True}


@pytest.mark.parametrize("keep", [3, 1, 0])
def test_an_idle_session_notices_within_15_s(recorded, packets, keep):
    table = recorded()
    table.lose(keep)
    table.wait(TOLD_MS)
    assert in_redis(table) == everything(packets)
    assert (lost(table), table.codes) == (0, [])
    table.say(type="close")
    assert table.codes == [1000]


def test_a_token_that_expires_ends_no_session_before_redis_has_it(recorded, packets, now_ms):
    table = recorded(expires_at_ms=now_ms + 3_000)
    table.wait(2_900)
    table.lose(2)
    table.wait(200)
    assert table.codes == [4401]
    assert in_redis(table) == everything(packets)


def test_nothing_is_acked_while_redis_does_not_have_it(recorded):
    table = recorded()
    acked, told = table.acked, len(table.of("ack"))
    table.lose(1)
    table.automatic = False
    table.wait(TOLD_MS)
    table.one(LookStored)
    while table.newest.offset < acked:
        assert not any(isinstance(action, SendText) for action in table.actions)
        assert len(table.of("ack")) == told
        table.one()
    table.automatic = True
    table.do([])
    assert table.of("ack")[-1]["offset"] == acked


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("keep", [2, 0])
def test_what_is_gone_beyond_the_tail_is_counted(recorded, end, keep):
    table = recorded()
    table.session.load.allow(2**20, 0)  # memory is short: no tail is kept
    table.lose(keep)
    ENDS[end][0](table)
    assert lost(table) == pytest.approx((4 - keep) * 48_000, rel=0.1)


def test_a_session_that_begins_again_is_watched_again(recorded):
    table = recorded()
    table.lose(0)
    table.leave()
    assert len([hint for hint in table.hints if isinstance(hint, Watch)]) == 2


@pytest.mark.parametrize("end", ["leave", "gone", "replaced"])
def test_an_end_looks_once(recorded, end):
    table = recorded()
    table.automatic = False
    ENDS[end][0](table)
    looks = 0
    while table.actions:
        looks += isinstance(table.one(), LookStored)
    assert looks == 1
    assert table.codes == [ENDS[end][1]]


def test_who_has_everything_in_the_bucket_is_not_looked_for(recorded):
    table = recorded()
    table.settled = table.newest
    table.wait(TOLD_MS)
    table.automatic = False
    table.leave()
    assert not any(isinstance(action, LookStored) for action in table.actions)


def test_an_end_that_finds_redis_away_waits_as_for_audio(recorded, packets):
    table = recorded()
    table.lose(1)
    table.automatic = False
    table.do(table.session.leave(table.now_ms))
    for _ in range(50):
        if any(isinstance(action, LookStored) for action in table.actions):
            table.actions.clear()
            table.do(table.session.unavailable("look", table.now_ms))
        table.now_ms += 100
        table.do(table.session.tick(table.now_ms))
    assert table.codes == []
    table.automatic = True
    table.wait(2_000)
    assert table.codes == [1012]
    assert in_redis(table) == everything(packets)


def test_but_no_longer_than_30_s(recorded):
    table = recorded()
    table.automatic = False
    table.leave()
    began_ms = table.now_ms
    while table.now_ms - began_ms < 31_000:
        if any(isinstance(action, LookStored) for action in table.actions):
            table.actions.clear()
            table.do(table.session.unavailable("look", table.now_ms))
        table.now_ms += 100
        table.do(table.session.tick(table.now_ms))
    table.automatic = True
    table.do([])
    assert table.codes == [1013]


def test_a_look_that_was_overtaken_by_an_append_is_no_loss(recorded, packets):
    """What was read before the session went on tells nothing of what came then."""
    table = recorded()
    table.wait(TOLD_MS - 1_100)
    table.automatic = False
    table.wait(1_100)
    assert any(isinstance(action, LookStored) for action in table.actions)
    for packet in packets[200:300]:
        table.send(packet)
    table.one(LookStored)
    table.automatic = True
    table.do([])
    table.say(type="close")
    assert in_redis(table) == packets[:300]
    assert (table.codes, lost(table)) == ([1000], 0)


def test_an_ask_and_an_append_that_both_find_the_loss_write_once(recorded, packets):
    table = recorded()
    table.lose(2)
    table.automatic = False
    table.say(type="finalize")
    for packet in packets[200:300]:
        table.send(packet)
    table.one(AskToStore)  # while the append is on its way
    table.automatic = True
    table.do([])
    table.say(type="close")
    table.settled = table.newest
    table.wait(1_500)
    assert in_redis(table) == packets[:300]
    assert (table.codes, lost(table)) == ([1000], 0)


def test_an_end_that_was_asked_for_is_asked_for_again_where_redis_lost_it(recorded, packets):
    """While a `finalize` is waited for, Redis loses that the session was over."""
    table = recorded()
    table.say(type="finalize")
    table.say(type="close")
    table.lose(1)
    table.wait(1_500)
    assert in_redis(table) == everything(packets)
    assert [hint.ends for hint in table.hints if isinstance(hint, AskToStore)][-1]
    asks = [hint for hint in table.hints if isinstance(hint, AskToStore) and hint.ends]
    assert len(asks) == 2
    table.settled = table.newest
    table.wait(1_500)
    assert table.codes == [1000]


def test_what_another_socket_wrote_and_redis_lost_is_asked_of_the_client_again(closed_desk, packets):
    # The socket resumed at byte 500: it never had what lies before, and the client may keep it until it is stored.
    table = closed_desk(codec="opus", resume=7, opened=Opened(7, True, 500, None, None, None)).start()
    for packet in packets[:60]:
        table.send(packet)
    table.newest = EntryId(7, 200)
    for packet in packets[60:120]:
        table.send(packet)
    assert table.codes == [1013]
    assert len(table.entries) == 1
    assert lost(table) > 0


def test_a_plain_client_has_nothing_more_so_what_is_left_is_written_behind_a_gap(packets, desk):
    table = desk("plain", codec="opus")
    for packet in packets[:200]:
        table.send(packet)
    table.session.load.allow(2**20, 0)  # memory is short: no tail is kept
    table.lose(2)
    for packet in packets[200:300]:
        table.send(packet)
    assert table.codes == []
    assert in_redis(table) == packets[:100] + packets[200:300]


def test_a_socket_that_changes_its_conversation_came_long_ago_for_the_one_it_has(recorded):
    table = recorded()
    came_ms = table.opens[0].arrived_ms
    table.wait(5_000)
    table.automatic = False
    table.say(type="conversation", conversation_id="conv-2")
    table.do(table.session.append_refused(Replaced("somebody", None), table.now_ms))
    again = table.one(Open)
    assert (again.conversation_id, again.own, again.arrived_ms) == ("conv-1", True, came_ms)


def test_for_the_next_conversation_it_came_when_it_asked(recorded):
    table = recorded()
    table.wait(5_000)
    table.say(type="conversation", conversation_id="conv-2")
    assert (table.opens[-1].conversation_id, table.opens[-1].arrived_ms) == ("conv-2", table.now_ms)


@pytest.mark.parametrize("end", ENDS)
def test_however_a_session_ends_the_process_is_told_what_redis_must_keep(recorded, end):
    table = recorded()
    acked = table.acked
    table.settled = EntryId(table.newest.epoch, acked // 2)
    table.wait(TOLD_MS)
    ENDS[end][0](table)
    left = [one for one in table.left if isinstance(one, Left)]
    assert left == [Left(CID, 1_000, acked, acked // 2, acked, 4 * 48_000 - 312)]


@pytest.mark.parametrize("keep", [2, 0])
def test_what_a_socket_has_counted_is_named_so_that_nobody_counts_it_again(recorded, keep):
    table = recorded()
    table.session.load.allow(2**20, 0)  # memory is short: no tail is kept
    acked = table.acked
    table.lose(keep)
    table.leave()
    stands = table.entries[-1][1].offset if keep else 0
    assert table.left[0] == Lost(CID, 1_000, stands, acked)


def test_a_session_that_appended_nothing_leaves_nothing_to_look_after(desk):
    table = desk(codec="opus", resume=1_000)
    table.leave()
    assert table.left == []
