"""The client's types are the API's: what it prints as JSON is what the server said."""

from typing import get_args

import msgspec
import pytest

from storage_api import audio_format
from storage_api.routes import TABLE
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

    (found,), components = msgspec.json.schema_components([kind])
    properties = components[found["$ref"].rpartition("/")[2]]["properties"]
    return {name: plain(schema).removesuffix(" | null") for name, schema in properties.items()}


USER = "/v1/users/{uid}"
CONVERSATION = USER + "/conversations/{cid}"
ANSWERS = {
    ("GET", USER + "/conversations"): storage_types.ConversationPage,
    ("GET", CONVERSATION): storage_types.Conversation,
    ("GET", CONVERSATION + "/chunks"): storage_types.ChunkPage,
    ("GET", CONVERSATION + "/recordings"): storage_types.Recordings,
    ("GET", CONVERSATION + "/waveform"): storage_types.Waveform,
    ("POST", CONVERSATION + ":flush"): storage_types.Flushed,
    ("DELETE", CONVERSATION): storage_types.Deleted,
    ("DELETE", CONVERSATION + "/chunks"): storage_types.Deleted,
    ("DELETE", CONVERSATION + "/audio"): storage_types.Deleted,
    ("DELETE", USER + "/audio"): storage_types.Operation,
    ("POST", USER + "/conversations:merge"): storage_types.Operation,
    ("GET", "/v1/operations/{id}"): storage_types.Operation,
    ("GET", USER + "/settings"): storage_types.UserSettings,
    ("PUT", USER + "/settings"): storage_types.UserSettings,
    ("GET", USER + "/usage"): storage_types.Usage,
    ("GET", "/v1/buffers"): storage_types.BufferPage,
    ("POST", "/v1/buffers:flush"): storage_types.FlushAsked,
    ("GET", "/v1/dead-letters"): storage_types.DeadLetterPage,
    ("POST", "/v1/dead-letters/{id}:retry"): storage_types.RetryAsked,
}


def structs_in(kind):
    """The structs that its fields hold, by field."""
    held = [
        (field.name, one)
        for field in msgspec.structs.fields(kind)
        for one in (field.type, *get_args(field.type))
    ]
    return {name: one for name, one in held if isinstance(one, type) and issubclass(one, msgspec.Struct)}


def check(ours, theirs):
    found = fields_of(ours)
    found.pop("live_known", None)  # a header says it
    assert found == fields_of(theirs)
    inner = structs_in(ours)
    assert inner.keys() == structs_in(theirs).keys()
    for name, kind in inner.items():
        check(kind, structs_in(theirs)[name])


@pytest.mark.parametrize("request_of", ANSWERS, ids=" ".join)
def test_fields_and_types_are_the_apis_own(request_of):
    (row,) = [row for row in TABLE if (row.method, row.path) == request_of]
    (theirs,) = row.answers.values()
    check(ANSWERS[request_of], theirs)


def test_media_types_are_the_apis_own():
    theirs = {kind: media_type.partition(";")[0] for kind, media_type in audio_format.MEDIA_TYPES.items()}
    assert theirs == audio.MEDIA_TYPES
