"""The client's types are the API's: what it prints as JSON is what the server said."""

import msgspec
import pytest

from storage_api import wire
from tapedeck import storage_types

PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}


def fields_of(kind):
    """Field names and JSON types; a closed set of words counts as text."""

    def plain(schema):
        if "anyOf" in schema:
            return " | ".join(plain(one) for one in schema["anyOf"])
        return PLAIN.get(schema.get("type", "string"), schema.get("type"))

    (_,), components = msgspec.json.schema_components([kind])
    properties = components[kind.__name__]["properties"]
    return {name: plain(schema).removesuffix(" | null") for name, schema in properties.items()}


@pytest.mark.parametrize("name", ["Conversation", "Chunk", "Gap", "Flushed"])
def test_fields_and_types_are_the_apis_own(name):
    assert fields_of(getattr(storage_types, name)) == fields_of(getattr(wire, name))
