import pytest

from audiobus.cut import VERSION, Cut
from audiobus.errors import BadEntryError
from pusher.errors import NoKeyError
from pusher.protection import must_seal, sealed_by

SEALED = "chunks/u/c/1700000000.000-1700000060.000.batch.enc"
PLAIN = "chunks/u/c/1700000000.000-1700000060.000.batch.bin"


def cut(name, protection):
    return Cut(VERSION, "1-0", "1-5", name, protection, "end")


def test_levels():
    assert must_seal("enhanced")
    assert not must_seal("standard")
    for level in ("", "Enhanced", "something new"):
        with pytest.raises(NoKeyError, match="not known to this build"):
            must_seal(level)


def test_the_cut_decides():
    assert sealed_by(cut(SEALED, "enhanced"))
    assert not sealed_by(cut(PLAIN, "standard"))
    assert sealed_by(cut("", "enhanced"))
    with pytest.raises(NoKeyError):
        sealed_by(cut(SEALED, "something new"))


@pytest.mark.parametrize(
    ("name", "protection"),
    [(PLAIN, "enhanced"), (SEALED, "standard"), ("chunks/u/c/1.opus", "standard"), ("x", "enhanced")],
)
def test_a_cut_that_contradicts_itself_makes_nothing(name, protection):
    with pytest.raises(BadEntryError, match="no name of a batch of the level"):
        sealed_by(cut(name, protection))
