import copy
import pickle

import pytest

from servicekit.secret import Secret


def test_it_is_there_for_whoever_asks_by_name_and_shown_nowhere():
    secret = Secret("k1:hush")
    assert secret.reveal() == "k1:hush"
    for shown in (repr(secret), str(secret), f"{secret}", repr([secret])):
        assert "hush" not in shown
    for write in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="never written down"):
            write(secret)


def test_it_compares_like_its_text():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_a_text_that_has_no_bytes_is_none():
    with pytest.raises(ValueError, match="must be UTF-8"):
        Secret("\udc80")
