from listen.phase import Ending, Parting, Phase


def test_the_first_code_counts_and_urgency_may_come_later():
    parting = Parting()
    parting.end(1000, "end")
    assert not parting.hurry
    parting.end(1012, None)
    assert parting.ending == Ending(1000, "end")
    assert parting.hurry


def test_why_everything_shall_be_stored():
    parting = Parting()
    assert parting.asks(Phase.SWITCHING) == "switch"
    parting.end(1012, None)
    assert parting.asks(Phase.SWITCHING) == "switch"
    assert parting.asks(Phase.CLOSING) is None
    closing = Parting()
    closing.end(1000, "end")
    assert closing.asks(Phase.CLOSING) == "end"
