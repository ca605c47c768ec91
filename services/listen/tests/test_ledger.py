from listen.audio_format import SOURCE_SAMPLE_TICKS
from listen.ledger import Ledger

T = SOURCE_SAMPLE_TICKS
NEAR, FAR = 0, 1


def test_mono_pcm_counts_sample_by_sample():
    ledger = Ledger(2, 100, (b"",))
    assert not ledger.extend(104, 2)
    ledger.add_pcm(NEAR, 100, 104, 0, 2, 0, b"")
    assert ledger.extend(110, 3)
    assert [ledger.cover(tick) for tick in (-5, 0, T - 1, T, 4 * T + 7)] == [100, 100, 100, 102, 108]
    assert ledger.next_of(NEAR, 4 * T, None) == 4 * T
    assert ledger.final_offset == 110
    assert ledger.cover(5 * T) == 110
    assert ledger.next_of(NEAR, 5 * T, 77) == 77


def test_half_a_sample_at_the_end_never_counts():
    ledger = Ledger(2, 0, (b"",))
    ledger.add_pcm(NEAR, 0, 5, 0, 2, 0, b"x")
    assert ledger.final_offset == 4
    assert ledger.cover(None) == 4
    assert ledger.odd == (b"",)


def test_bytes_count_in_the_order_sent():
    ledger = Ledger(1, 0, (b"", b""))
    ledger.add_pcm(NEAR, 0, 3, 0, 3, 0, b"")
    ledger.add_pcm(FAR, 3, 5, 0, 2, 0, b"")
    ledger.add_pcm(NEAR, 5, 6, 3 * T, 1, 0, b"")
    assert ledger.cover(2 * T) == 2
    assert ledger.next_of(NEAR, 2 * T, None) == 2 * T
    assert ledger.next_of(FAR, 2 * T, None) == 0
    assert ledger.cover(3 * T) == 5
    assert ledger.next_of(FAR, 3 * T, 2 * T) == 2 * T


def test_a_half_sample_of_one_channel_is_kept_while_the_other_one_counts():
    ledger = Ledger(2, 0, (b"", b""))
    ledger.add_pcm(NEAR, 0, 3, 0, 1, 0, b"n")
    ledger.add_pcm(FAR, 3, 4, 0, 0, 0, b"f")
    assert (ledger.cover(9 * T), ledger.odd) == (2, (b"", b""))
    ledger.add_pcm(NEAR, 4, 5, T, 1, 1, b"")
    assert ledger.final_offset == 5
    assert (ledger.cover(2 * T), ledger.odd) == (5, (b"", b"f"))


def test_a_message_of_a_compressed_codec_counts_whole_when_its_successor_can_be_heard():
    ledger = Ledger(0, 0, (b"",))
    ledger.add(NEAR, 40, -10 * T, 10, 8 * T)
    ledger.add(NEAR, 90, 0, 10, 8 * T)
    assert [ledger.cover(tick) for tick in (7 * T, 8 * T, 17 * T)] == [0, 40, 40]
    assert ledger.next_of(NEAR, 17 * T, None) == 0
    assert ledger.cover(None) == 90


def test_one_message_can_be_made_to_count():
    ledger = Ledger(0, 0, (b"",))
    ledger.add(NEAR, 40, 0, 10, 8 * T)
    ledger.add(NEAR, 90, 10 * T, 10, 8 * T)
    assert ledger.cover_next(9 * T) == 0
    assert ledger.cover_next(20 * T) == 40
    assert ledger.next_of(NEAR, 20 * T, None) == 10 * T


def test_what_is_no_audio_counts_with_what_is_before_it():
    ledger = Ledger(0, 0, (b"",))
    ledger.leave_out(7)
    ledger.add(NEAR, 40, 0, 10, 0)
    ledger.leave_out(47)
    assert ledger.cover(0) == 7
    assert ledger.cover(10 * T) == 47


def test_a_channel_that_speaks_again_is_placed_anew_where_nothing_of_it_is_stored():
    ledger = Ledger(0, 0, (b"", b""))
    ledger.add(FAR, 40, 50 * T, 10, 0, 55 * T)
    assert ledger.next_of(FAR, 55 * T, 9) is None
    assert ledger.next_of(FAR, 56 * T, 9) == 50 * T


def test_what_is_left_out_again_and_again_is_one_entry():
    ledger = Ledger(0, 0, (b"",))
    ledger.add(NEAR, 10, 0, 960, 0)
    for offset in range(11, 1_011):
        ledger.leave_out(offset)
    assert ledger.pieces == 2
    assert ledger.cover(959 * T) == 0
    assert ledger.cover(960 * T) == 1_010
