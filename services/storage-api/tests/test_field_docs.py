"""The texts below fields, out of the source."""

import msgspec

from storage_api.field_docs import field_docs


class Plain(msgspec.Struct):
    said: int
    """What it is,
    in two lines."""
    silent: int
    also_said: str = ""
    """More."""


class Made(Plain):
    said: int
    """Another word."""
    own: int = 0
    """Its own."""


def test_fields_say_what_stands_below_them():
    assert field_docs(Plain) == {"said": "What it is, in two lines.", "also_said": "More."}


def test_a_struct_made_from_another_has_its_texts_too():
    assert field_docs(Made) == {"said": "Another word.", "also_said": "More.", "own": "Its own."}


def test_without_a_source_there_are_no_texts():
    assert field_docs(msgspec.defstruct("Sourceless", [("a", int)])) == {}
