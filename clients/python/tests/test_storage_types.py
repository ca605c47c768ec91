"""The client's types are the API's: what it prints as JSON is what the server said."""

import msgspec
import pytest

from storage_api import audio_format, wire, wire_operations, wire_operators, wire_users, wire_waveforms
from tapedeck import storage_types
from tapedeck.storage import audio

PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}


def fields_of(kind):
    """Field names and JSON types; a closed set of words counts as text."""

    def plain(schema):
        if "anyOf" in schema:
            return " | ".join(plain(one) for one in schema["anyOf"])
        if "enum" in schema:
            return type(schema["enum"][0]).__name__
        return PLAIN.get(schema.get("type", "string"), schema.get("type"))

    (_,), components = msgspec.json.schema_components([kind])
    properties = components[kind.__name__]["properties"]
    return {name: plain(schema).removesuffix(" | null") for name, schema in properties.items()}


SAME = {
    wire: ["Conversation", "Chunk", "Gap", "Recording", "Flushed"],
    wire_operations: ["Operation", "Trouble", "Deleted"],
    wire_users: ["UserSettings", "DayOfUsage", "Usage"],
    wire_operators: ["Buffer", "FlushAsked", "DeadLetter", "RetryAsked"],
    wire_waveforms: ["Waveform"],
}
PAGES = {
    wire: {"Conversations": "ConversationPage", "Chunks": "ChunkPage", "Recordings": "Recordings"},
    wire_operators: {"Buffers": "BufferPage", "DeadLetters": "DeadLetterPage"},
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in SAME for name in SAME[module]])
def test_fields_and_types_are_the_apis_own(module, name):
    assert fields_of(getattr(storage_types, name)) == fields_of(getattr(module, name))


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in PAGES for name in PAGES[module]])
def test_pages_have_the_apis_fields_and_what_a_header_says(module, name):
    found = fields_of(getattr(storage_types, PAGES[module][name]))
    found.pop("live_known", None)
    assert found == fields_of(getattr(module, name))


def test_media_types_are_the_apis_own():
    theirs = {kind: media_type.partition(";")[0] for kind, media_type in audio_format.MEDIA_TYPES.items()}
    assert theirs == audio.MEDIA_TYPES
