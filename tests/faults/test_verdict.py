"""The judge is judged: each kind of defect is found in an account that is right but for it."""

from collections import Counter
from dataclasses import replace

import pytest

from tapedeck_testing.faults.as_stored import as_stored
from tapedeck_testing.faults.load import Seen
from tapedeck_testing.faults.tape import RATE, Tape, speech
from tapedeck_testing.faults.verdict import Account, heard, wrong

SOUND = speech(60, seconds=6)
BEGAN_MS = 1_732_147_200_000
EPOCH = 1_732_147_200_500


def tape(kind="opus"):
    return Tape(kind, SOUND, device=3, seconds=12, start_ms=BEGAN_MS, holes=[(6.0, 900)])


def span(recording, first, after):
    return as_stored(recording, first, after, epoch=EPOCH)


def account(recording, spans=None, **changes):
    spans = spans or [span(recording, 0, 40), span(recording, 40, 100), span(recording, 100, 200)]
    samples = sum(one.samples for one in spans)
    seen = Seen(
        number=3,
        start_ms=BEGAN_MS,
        messages=recording.messages,
        acked=recording.total,
        furthest=recording.total,
        total=recording.total,
        sessions=[(EPOCH, 0)],
        resumed=0,
        superseded=0,
        fell_back=0,
        violations=[],
        connects=1,
        closes={"1000": 1},
        refusals={},
        errors={},
        cuts=dict(Counter()),
        told_ms=[],
        unannounced_1012=0,
        buffering=0,
        longest_wait_s=0.0,
        plain_sessions=[],
        outcome="done",
    )
    for name, value in changes.items():
        setattr(seen, name, value)
    return Account(
        seen,
        spans,
        {
            "received": samples,
            "stored": samples,
            "dead": 0,
            "deleted": 0,
            "entries": 0,
            "used_ms": samples // 48,
        },
    )


def test_what_is_right_is_right():
    recording = tape()
    assert recording.messages == 200
    assert recording.runs() == [(0, 100), (100, 200)]
    assert wrong(recording, account(recording)) == []


def test_a_hole_is_found():
    recording = tape()
    found = wrong(recording, account(recording, [span(recording, 0, 40), span(recording, 41, 200)]))
    assert any(text.startswith("missing") for text in found)
    assert any("1 of 200 missing" in text for text in found)


@pytest.mark.parametrize(
    ("kind", "resumed", "until", "holds"),
    [("opus2", 1, 52, True), ("opus2", 1, 53, False), ("opus2", 0, 52, False), ("pcm2", 1, 52, False)],
)
def test_only_what_a_resumed_decoder_warms_up_with_need_not_be_named(kind, resumed, until, holds):
    recording = tape(kind)
    spans = [span(recording, 0, 40), span(recording, until, recording.messages)]
    found = wrong(recording, account(recording, spans, resumed=resumed))
    assert any(text.startswith("missing") for text in found) is not holds


def test_a_missing_end_is_found():
    recording = tape()
    found = wrong(recording, account(recording, [span(recording, 0, 100), span(recording, 100, 199)]))
    assert any("at the end of session" in text for text in found)


def test_what_is_there_twice_is_found():
    recording = tape()
    spans = [span(recording, 0, 41), span(recording, 40, 100), span(recording, 100, 200)]
    found = wrong(recording, account(recording, spans))
    assert any(text.startswith("stored twice") for text in found)
    assert any("1 there twice" in text for text in found)


def test_what_two_sessions_hold_is_found():
    recording = tape()
    spans = [span(recording, 0, 100), replace(span(recording, 99, 100), epoch=EPOCH + 1, first_offset=0)]
    assert any("nobody's" in text for text in wrong(recording, account(recording, spans)))


def test_a_session_that_holds_more_than_its_own_is_found():
    recording = tape()
    first = span(recording, 0, 100)
    second = replace(span(recording, 100, 200), epoch=EPOCH + 1)
    base = recording.begin(90)
    second = replace(second, first_offset=second.first_offset - base, end_offset=second.end_offset - base)
    found = wrong(recording, account(recording, [first, second], sessions=[(EPOCH, 0), (EPOCH + 1, base)]))
    assert any("the next one begins at" in text for text in found)


def test_packets_of_others_and_changed_ones_are_found():
    recording = tape()
    spans = [span(recording, 0, 100), span(recording, 100, 200)]
    packets = list(spans[1].packets)
    packets[7] = packets[7][:-8] + b"\0\0\0\4" + packets[7][-4:]
    found = wrong(recording, account(recording, [spans[0], replace(spans[1], packets=tuple(packets))]))
    assert "1 packets of others" in found
    assert "packet 107 has changed" in found


@pytest.mark.parametrize("change", [{"first_sample": 2_000}, {"run_start_ms": BEGAN_MS + 60}])
def test_a_wrong_time_is_found(change):
    recording = tape()
    spans = [span(recording, 0, 100), replace(span(recording, 100, 200), **change)]
    assert any("ms off" in text for text in wrong(recording, account(recording, spans)))


def test_what_does_not_add_up_is_found():
    recording = tape()
    right = account(recording)
    right.counts = {**right.counts, "received": right.counts["received"] + 1}
    assert any("not so" in text for text in wrong(recording, right))
    right = account(recording)
    right.counts = {**right.counts, "used_ms": 11_000}
    assert any(text.startswith("usage") for text in wrong(recording, right))
    right.counts = {**right.counts, "entries": 1}
    assert any("still wait" in text for text in wrong(recording, right))


def test_what_does_not_add_up_is_found_where_redis_lost_something():
    recording = tape()
    lossy = account(recording)
    less = lossy.counts["received"] - 2_880
    lossy.counts = {**lossy.counts, "received": less, "stored": less, "used_ms": 0}
    assert wrong(recording, lossy, lossy=True) == []
    lossy.counts = {**lossy.counts, "stored": less + 1}
    assert any("not so" in text for text in wrong(recording, lossy, lossy=True))


def test_a_device_that_did_not_come_to_its_end_is_found():
    recording = tape()
    assert any("running" in text for text in wrong(recording, account(recording, outcome="running")))
    assert wrong(recording, account(recording, violations=["an ack too many"])) == ["an ack too many"]


def test_speech_in_another_place_is_heard():
    pcm = SOUND.pcm
    assert heard(pcm, pcm) == []
    assert heard(pcm, pcm[RATE:] + pcm[:RATE])


def test_what_a_plain_device_was_promised_must_be_there():
    recording = Tape("plain-opus", SOUND, device=3, seconds=12, start_ms=BEGAN_MS)
    spans = [
        replace(span(recording, 5, 50), first_offset=0, end_offset=recording.begin(50) - recording.begin(5))
    ]
    acked = recording.begin(50) - recording.begin(5)
    assert wrong(recording, account(recording, spans, plain_sessions=[(5, acked)])) == []
    more = recording.begin(52) - recording.begin(5)
    found = wrong(recording, account(recording, spans, plain_sessions=[(5, more)]))
    assert found == ["acked and not stored: 2 packets from 50 on"]
