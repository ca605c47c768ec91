"""A refusal is said at once, and then once in a while."""

from audiobus.refusals import EVERY_S, Refusals


def test_it_is_said_at_once_and_then_once_in_a_while(caplog):
    refusals = Refusals()
    for number in range(100):
        refusals.met(f"open: NOPERM {number}", 1_000.0 + number)
    said = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.refused for record in said] == [1, EVERY_S, EVERY_S, EVERY_S]
    assert said[0].error == "open: NOPERM 0"
