import pytest

from audiobus import Opened, Position
from listen.audio_format import AudioFormat
from listen.intake import Intake

FRESH = Opened(1, False, 0, None, None, None)
PCM8 = AudioFormat("pcm8", 8_000)


def test_a_v1_client_waits_for_its_session_and_begins_where_that_stands(now_ms):
    intake = Intake(PCM8, "v1", 1_000)
    assert intake.target is None
    intake.opened(Opened(1, True, 320, Position(now_ms, 1_920), None, None))
    assert intake.target is intake.current
    assert intake.waiting_bytes(320) == 0
    assert intake.taken_samples == 0


def test_a_plain_client_is_heard_from_the_first_byte(now_ms):
    intake = Intake(PCM8, "plain", 1_000)
    assert not intake.has_early_audio
    intake.target.take(bytes(80), now_ms)
    assert intake.has_early_audio
    early = intake.current
    assert intake.opened(FRESH) is early


@pytest.mark.parametrize(("dialect", "taken"), [("v1", 80), ("plain", 240)])
def test_while_it_switches_audio_belongs_to_the_next(now_ms, dialect, taken):
    intake = Intake(PCM8, dialect, 1_000)
    first = intake.opened(FRESH)
    first.take(bytes(80), now_ms)
    intake.switch()
    assert not intake.next_has_audio
    if intake.target is not None:
        intake.target.take(bytes(160), now_ms)
    assert intake.next_has_audio is (dialect == "plain")
    assert intake.current is first
    overhead = sum(recording.overhead_bytes for recording in {first, intake.target} - {None})
    assert intake.waiting_bytes(0) == taken + overhead
    assert intake.waiting_bytes(70) == taken + overhead - 70
    intake.switched()
    assert intake.current is not first
    assert not intake.next_has_audio


def test_one_job_is_under_way_at_a_time(now_ms):
    intake = Intake(PCM8, "plain", 1_000)
    intake.current.take(bytes(8_000), now_ms)
    intake.switch()
    intake.target.take(bytes(8_000), now_ms)
    assert intake.job(now_ms) is not None
    assert intake.job(now_ms) is None
