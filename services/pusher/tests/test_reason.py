"""The closed set of reasons."""

import pytest

from pusher.reason import Reason


@pytest.mark.parametrize("text", ["finalize", "end", "switch", "flush"])
def test_what_can_be_asked_for_keeps_its_name(text):
    assert Reason.asked(text) == text


@pytest.mark.parametrize("text", ["size", "age", "anything", "", None])
def test_everything_else_counts_as_flush(text):
    assert Reason.asked(text) is Reason.FLUSH
