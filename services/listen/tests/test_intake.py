import pytest

from audiobus import Opened, Position
from listen.audio_format import AudioFormat
from listen.early_messages import LIMIT
from listen.intake import Intake
from listen.upcoming import MAX_UPCOMING, UPCOMING_BYTES

FRESH = Opened(1, False, 0, None, None, None)
PCM8 = AudioFormat("pcm8", 8_000)


@pytest.fixture
def plain() -> Intake:
    return Intake("a", PCM8, "plain", 1_000)


def test_a_v1_client_waits_for_its_session_and_begins_where_that_stands(now_ms):
    intake = Intake("a", PCM8, "v1", 1_000)
    assert intake.target is None
    intake.opened(Opened(1, True, 320, Position(now_ms, 1_920), None, None))
    assert intake.target is intake.current
    assert intake.waiting_bytes(320) == 0
    assert intake.taken_samples == 0


def test_a_plain_client_is_heard_from_the_first_byte(plain, now_ms):
    assert not plain.has_early_audio
    plain.target.take(bytes(80), now_ms)
    assert plain.has_early_audio
    early = plain.current
    assert plain.opened(FRESH) is early


@pytest.mark.parametrize(("dialect", "taken"), [("v1", 80), ("plain", 240)])
def test_while_it_changes_audio_belongs_to_the_next(now_ms, dialect, taken):
    intake = Intake("a", PCM8, dialect, 1_000)
    first = intake.opened(FRESH)
    first.take(bytes(80), now_ms)
    assert not intake.changing
    intake.change("b", now_ms + 7)
    assert intake.changing
    assert not intake.next_has_audio
    if intake.target is not None:
        intake.target.take(bytes(160), now_ms)
    assert intake.next_has_audio is (dialect == "plain")
    assert intake.current is first
    overhead = sum(recording.overhead_bytes for recording in {first, intake.target} - {None}) + UPCOMING_BYTES
    assert intake.waiting_bytes(0) == taken + overhead
    assert intake.waiting_bytes(70) == taken + overhead - 70
    upcoming = intake.changed()
    assert (upcoming.conversation_id, upcoming.arrived_ms) == ("b", now_ms + 7)
    assert intake.current is upcoming.recording is not first
    assert not intake.next_has_audio
    assert not intake.changing


def test_however_many_a_plain_client_names_audio_belongs_to_the_last_one(plain, now_ms):
    for number, cid in enumerate("bcd", start=1):
        plain.target.take(bytes(80 * number), now_ms)
        plain.change(cid, now_ms)
    plain.target.take(bytes(320), now_ms)
    assert plain.taken_samples == 6 * (80 + 160 + 240 + 320)
    taken = [plain.current.taken]
    while plain.changing:
        assert plain.hurries
        plain.changed()
        taken.append(plain.current.taken)
    assert taken == [80, 160, 240, 320]
    assert not plain.hurries


def test_audio_waits_also_where_it_belongs_to_one_of_the_later_ones(plain, now_ms):
    plain.change("b", now_ms)
    plain.change("c", now_ms)
    assert not plain.has_early_audio
    assert not plain.hurries
    plain.target.take(bytes(80), now_ms)
    assert plain.has_early_audio
    assert plain.hurries


def test_so_many_conversations_that_no_more_is_read_do_not_wait_for_the_bucket_either(plain, now_ms):
    for number in range(MAX_UPCOMING):
        assert not plain.hurries
        plain.change(f"b{number}", now_ms)
    assert plain.upcoming == MAX_UPCOMING
    assert plain.hurries


@pytest.mark.parametrize("ahead", [False, True])
def test_a_conversation_of_which_nothing_was_taken_goes_on_without_its_mark(plain, now_ms, ahead):
    if ahead:
        plain.target.take(bytes(80), now_ms)
        plain.change("b", now_ms)
    cid = "b" if ahead else "a"
    plain.target.mark(now_ms - 60_000, now_ms)
    assert not plain.named_again("other")
    assert plain.named_again(cid)
    assert plain.upcoming == ahead
    plain.target.take(bytes(8_000), now_ms)
    assert plain.target.samples == 48_000
    assert not plain.named_again(cid)


def test_a_finalize_belongs_to_the_conversation_that_was_named_last(plain, now_ms):
    plain.target.take(bytes(80), now_ms)
    assert plain.finalize(now_ms)
    plain.change("b", now_ms)
    plain.target.take(bytes(160), now_ms)
    assert plain.finalize(now_ms)
    plain.target.take(bytes(160), now_ms)
    assert plain.finalize(now_ms)
    assert plain.finals() == [80]
    assert plain.finals() == []
    plain.changed()
    assert plain.finals() == [160, 320]


def test_so_many_of_them_wait_and_no_more(plain, now_ms):
    for _ in range(LIMIT - 1):
        assert plain.finalize(now_ms)
    plain.change("b", now_ms)
    assert plain.finalize(now_ms)
    assert not plain.finalize(now_ms)
    plain.finals()
    assert plain.finalize(now_ms)


def test_one_job_is_under_way_at_a_time(plain, now_ms):
    plain.current.take(bytes(8_000), now_ms)
    plain.change("b", now_ms)
    plain.target.take(bytes(8_000), now_ms)
    assert plain.job(now_ms) is not None
    assert plain.job(now_ms) is None
