"""A session and its user's account: what was used, what the client is told, and when the socket must end."""

import json

import pytest

from audiobus import Opened, UsageTotal, UserState, utc_day
from audiobus.usage import DAY_MS
from listen.account import Account
from listen.actions import Close, Count, LookUser, WriteUsage
from listen.allowance import Allowance
from listen.terms import Terms

LIMIT_MS = 100_000
REJECT = Allowance(policy="reject")
SECOND = 32_000


def user(used_ms: int = 0, **settings: str) -> UserState:
    return UserState(settings, LIMIT_MS, used_ms)


def states(table) -> list[str]:
    return [text["state"] for text in table.of("usage")]


def seconds_written(table) -> dict[str, float]:
    """What the looks would have written, the highest of each session."""
    out: dict[str, float] = {}
    for look in [*table.looks, *table.late]:
        for total in look.totals:
            out[total.session] = max(out.get(total.session, 0), total.ms / 1000)
    return out


# -- looks


def test_a_look_comes_within_a_minute_and_then_each_minute(desk, second):
    table = desk()
    table.send(second)
    table.wait(55_000)
    assert len(table.looks) == 1
    assert table.looks[0].day == utc_day(table.now_ms)
    assert table.looks[0].totals[0].session == "conv-1/1000"
    table.wait(550_000)
    assert len(table.looks) == 11
    assert table.looks[-1].totals == ()  # nothing new: a look all the same


def test_sockets_that_came_together_look_at_different_times(closed_desk):
    firsts = set()
    for number in range(40):
        table = closed_desk()
        terms = Terms(
            arrived_ms=0,
            uid="alice",
            owner=f"socket-{number}",
            conversation_id="c",
            resume=None,
            dialect="v1",
            audio_format=table.format,
            chunk_ms=1_000,
        )
        account = Account(terms)
        account.opened("c", Opened(1, False, 0, None, None, None), 0)
        looks = (
            at
            for at in range(0, 60_000, 100)
            if any(isinstance(one, LookUser) for one in account.advance(at))
        )
        firsts.add(next(looks))
    assert len(firsts) > 30
    assert min(firsts) > 25_000
    assert max(firsts) <= 55_100


def test_one_look_is_under_way_at_a_time(closed_desk):
    table = closed_desk(automatic=False, user=user()).start()
    table.one()
    table.wait(120_000)
    assert sum(isinstance(action, LookUser) for action in table.actions) == 1


def test_a_look_that_fails_ends_nothing_and_is_made_good_soon(closed_desk, second):
    table = closed_desk(user=user()).start()
    table.send(second)
    table.automatic = False
    table.wait(55_000)
    failed = next(action for action in table.actions if isinstance(action, LookUser))
    table.actions.clear()
    table.actions += table.session.unavailable("user", table.now_ms)
    assert Count("looked", 1, "failed") in table.actions
    table.actions.clear()
    table.wait(6_000)
    (again,) = [action for action in table.actions if isinstance(action, LookUser)]
    assert again.totals == failed.totals
    assert table.codes == []
    assert not any(text["type"] == "status" for text in table.texts)


def test_totals_that_redis_did_not_take_are_written_with_the_next_look(desk, second):
    table = desk(user=UserState({}, 0, 0, written=False))
    table.send(second)
    table.wait(110_000)
    assert table.looks[0].totals == table.looks[1].totals != ()
    assert Count("looked", 1, "unwritten") in table.counts


def test_a_clock_that_was_set_back_does_not_put_looks_off(desk):
    table = desk()
    table.wait(55_000)
    table.now_ms -= 3_600_000
    table.wait(100)
    assert len(table.looks) == 2


# -- sums


@pytest.mark.parametrize(
    ("codec", "rate", "channels"),
    [
        ("pcm8", 8_000, 1),
        ("pcm16", 16_000, 1),
        ("pcm16", 44_100, 1),
        ("pcm16", 16_000, 2),
        ("opus", 16_000, 1),
    ],
)
def test_a_sum_is_clock_time_whatever_the_codec_and_layout(desk, packets, second, codec, rate, channels):
    table = desk(codec=codec, rate=rate, channels=channels)
    for number in range(2):
        if codec == "opus":
            for packet in packets[50 * number : 50 * number + 50]:
                table.send(packet)
            continue
        size = rate * (1 if codec == "pcm8" else 2)
        payload = (second * 3)[:size]
        for piece in (payload[: size // 2], payload[size // 2 :]):
            for channel in range(1, channels + 1):
                table.send(bytes([channel]) * (channels - 1) + piece)
    table.say(type="close")
    assert table.codes == [1000]
    assert seconds_written(table)["conv-1/1000"] == pytest.approx(2, abs=0.03)


def test_a_plain_device_is_counted_by_the_same_sum_keepalives_and_gaps_left_out(desk, second):
    table = desk("plain", codec="pcm8", rate=8_000)
    table.send(second[:8_000])
    table.send(b"\0")
    table.wait(10_000)  # a gap
    for _ in range(3):
        table.send(second[:8_000])
        table.wait(1_000)
    table.leave()
    assert seconds_written(table)["conv-1/1000"] == pytest.approx(4, abs=0.001)


def test_packets_that_are_left_out_count_nothing(desk, packets):
    table = desk(codec="opus")
    for packet in packets[:50]:
        table.send(packet)
        table.send(b"\xff\xff\xff")
    table.say(type="close")
    assert seconds_written(table)["conv-1/1000"] == pytest.approx(1 - 312 / 48_000, abs=0.001)


def test_the_end_of_a_socket_hands_its_last_total_to_the_process(desk, second):
    table = desk()
    table.send(second)
    table.say(type="close")
    (late,) = table.late
    assert late.totals == (UsageTotal(utc_day(table.now_ms), "conv-1/1000", 1_000),)


def test_an_end_without_news_writes_nothing(desk):
    table = desk()
    table.say(type="close")
    assert table.late == []


@pytest.mark.parametrize("end", ["gone", "replaced", "broke", "deleted", "leave"])
def test_whatever_ends_a_socket_its_total_is_handed_over_before_the_close(desk, second, end):
    table = desk()
    table.send(second)
    match end:
        case "gone":
            table.leave()
        case "replaced":
            table.replace("another")
        case "broke":
            table.do(table.session.broke("incident"))
        case "deleted":
            table.do(table.session.refused("conversation_deleted", 4404, "gone"))
        case "leave":
            table.do(table.session.leave(table.now_ms))
    assert table.codes
    assert len(table.late) == 1


def test_the_write_of_the_end_comes_before_the_close(closed_desk, second):
    table = closed_desk().start()
    table.send(second)
    table.automatic = False
    table.do(table.session.broke("incident"))
    kinds = [type(action) for action in table.actions]
    assert kinds[-2:] == [WriteUsage, Close]


def test_each_conversation_of_a_socket_has_a_sum_of_its_own(desk, second):
    table = desk()
    table.send(second)
    table.say(type="conversation", conversation_id="conv-2")
    table.send(second * 2)
    table.wait(200)
    assert table.looks[0].totals == (UsageTotal(utc_day(table.now_ms), "conv-1/1000", 1_000),)
    table.say(type="close")
    assert seconds_written(table) == {"conv-1/1000": 1, "conv-2/1001": 2}


def test_a_resumed_session_goes_on_from_its_sum(desk, now_ms):
    day = utc_day(now_ms)
    opened = Opened(1_000, True, 0, None, None, None, f"{day}:480000".encode(), f"900;{day}:4800".encode())
    table = desk(resume=1_000, opened=opened)
    table.wait(200)
    assert seconds_written(table) == {"conv-1/1000": 10, "conv-1/900": 0.1}


def test_over_midnight_each_day_has_its_part(closed_desk, second):
    table = closed_desk()
    table.now_ms += DAY_MS - table.now_ms % DAY_MS - 1_500
    day = utc_day(table.now_ms)
    table.start()
    for _ in range(3):
        table.send(second)
        table.wait(1_000)
    table.say(type="close")
    totals = {total for action in [*table.looks, *table.late] for total in action.totals}
    sums = {total.day: total.ms for total in sorted(totals, key=lambda total: total.ms)}
    # An encoder gives its last packets only when it is flushed.
    assert sums == {day: pytest.approx(2_000, abs=30), day + 1: pytest.approx(1_000, abs=30)}
    assert sum(sums.values()) == pytest.approx(3_000, abs=1)


# -- the daily limit


def test_near_and_exceeded_are_told_once_a_day_each(desk):
    table = desk(user=user(89_999))
    assert states(table) == []
    table.user = user(90_000)
    table.wait(120_000)
    assert states(table) == ["near"]
    table.user = user(100_000)
    table.wait(240_000)
    assert states(table) == ["near", "exceeded"]
    assert table.codes == []
    table.now_ms += DAY_MS
    table.wait(60_000)
    assert states(table) == ["near", "exceeded", "exceeded"]
    assert [count for count in table.counts if count.what == "told"] == [
        Count("told", 1, "near"),
        Count("told", 1, "exceeded"),
        Count("told", 1, "exceeded"),
    ]


def test_who_comes_over_the_limit_is_told_right_after_ready(desk):
    table = desk(user=user(150_000))
    assert [text["type"] for text in table.texts] == ["ready", "usage"]


def test_what_was_used_yesterday_says_nothing_today(closed_desk):
    table = closed_desk(user=user(150_000), allowance=REJECT)
    table.now_ms += DAY_MS
    table.user = user(0)
    table.start()
    table.wait(60_000)
    assert states(table) == table.codes == []


def test_refused_in_mid_session_everything_is_made_safe_first(desk, second):
    table = desk(user=user(0), allowance=REJECT)
    table.send(second[: SECOND // 2])
    table.user = user(100_000)
    table.wait(56_000)
    assert states(table) == ["exceeded"]
    assert table.codes == [4429]
    assert table.acked == SECOND // 2
    kinds = [text["type"] for text in table.texts]
    assert kinds.index("usage") < kinds.index("error")
    (error,) = table.of("error")
    left_ms = DAY_MS - table.now_ms % DAY_MS
    assert error["code"] == "limit"
    assert left_ms <= error["retry_after_ms"] <= left_ms + 120_000
    # The session can be resumed: nothing asked for its end.
    assert not any(type(hint).__name__ == "AskToStore" for hint in table.hints)


def test_a_limit_that_is_raised_in_time_lets_the_socket_go_on(desk):
    table = desk(user=user(95_000), allowance=REJECT)
    table.user = UserState({}, 2 * LIMIT_MS, 110_000)
    table.wait(120_000)
    assert (states(table), table.codes) == (["near"], [])


def test_a_limit_that_is_set_in_mid_session_is_followed(desk):
    table = desk(user=UserState({}, 0, 0), allowance=REJECT)
    table.wait(60_000)
    table.user = UserState({}, 50_000, 60_000)
    table.wait(56_000)
    assert table.codes == [4429]


# -- settings


@pytest.mark.parametrize("dialect", ["v1", "plain"])
def test_storing_that_is_switched_off_ends_the_socket_safely(desk, second, dialect):
    table = desk(dialect, codec="pcm16", rate=16_000, user=user())
    table.send(second[: SECOND // 2])
    table.user = user(store_audio="0")
    table.wait(56_000)
    assert table.codes == [4403]
    assert table.acked == SECOND // 2
    assert [text["code"] for text in table.of("error")] == ["storing_off"]


def test_it_is_told_once_however_long_the_end_takes(closed_desk, second):
    table = closed_desk(user=user()).start()
    table.send(second[: SECOND // 2])
    table.automatic = False
    table.wait(56_000)
    table.actions = [action for action in table.actions if not isinstance(action, LookUser)]
    off = table.session.looked_up(user(store_audio="false"), table.now_ms)
    table.do(off)
    table.wait(2_000)
    sent = [json.loads(action.text) for action in table.actions if type(action).__name__ == "SendText"]
    assert [text["code"] for text in sent if text["type"] == "error"] == ["storing_off"]
    assert table.session.binary(second, table.now_ms) == []


def test_the_token_still_ends_a_socket(desk, now_ms):
    table = desk(expires_at_ms=now_ms + 1_000)
    table.wait(1_000)
    assert table.codes == [4401]
    assert table.texts[-2]["code"] == "token_expired"
