"""docs/asyncapi.yaml, read: what its references mean, and whether a message is as it says.

Checks messages against the part of JSON Schema that the document uses; a keyword that is not known here is an error.
"""

import functools
import re
from pathlib import Path
from typing import Any, Final

from tapedeck_testing.protocol.plain_yaml import read_plain_yaml

PAGE: Final = Path(__file__).parents[4] / "docs/asyncapi.yaml"

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_SILENT: Final = {"description", "default", "format"}


class Document:
    """The whole document. `tree` is the plain value; `at` follows references."""

    def __init__(self, text: str) -> None:
        self.tree: dict[str, Any] = read_plain_yaml(text)

    def at(self, *path: str) -> Any:
        """What stands there, references on the way and at the end followed."""
        here: Any = self.tree
        for step in path:
            here = self.resolved(here)[step]
        return self.resolved(here)

    def resolved(self, value: Any) -> Any:
        """The value, or what it refers to."""
        while isinstance(value, dict) and "$ref" in value:
            assert set(value) == {"$ref"}, value
            value = self.at(*value["$ref"].removeprefix("#/").split("/"))
        return value

    def references(self) -> list[str]:
        """Every reference in the document."""
        return [value for key, value in _leaves(self.tree) if key == "$ref"]

    def types(self, operation: str) -> list[str]:
        """The `type`s of the text messages of an operation, in order."""
        found = []
        for message in self.at("operations", operation, "messages"):
            payload = self.resolved(message)["payload"]
            if payload["type"] == "object":
                found.append(payload["properties"]["type"]["const"])
        return found

    def examples(self, operation: str) -> list[dict[str, Any]]:
        """The payloads of all examples of an operation's messages."""
        messages = [self.resolved(message) for message in self.at("operations", operation, "messages")]
        return [example["payload"] for message in messages for example in message.get("examples", ())]

    def check_from_server(self, message: dict[str, Any]) -> None:
        """Whether a text of the server is one that the document has, with nothing that it has not.

        Raises:
            AssertionError: with what is wrong.
        """
        kind = message.get("type")
        assert kind in self.types("tell"), message
        schema = self.at("components", "messages", str(kind), "payload")
        self.check(message, schema)
        assert set(message) <= set(schema["properties"]), message

    def check(self, value: Any, schema: dict[str, Any]) -> None:  # noqa: C901 - one case for each keyword
        """Whether a value is as a schema says.

        Raises:
            AssertionError: with what is wrong.
        """
        for keyword, said in self.resolved(schema).items():
            match keyword:
                case "type":
                    assert isinstance(value, _TYPES[said]), (value, said)
                    assert said == "boolean" or not isinstance(value, bool), (value, said)
                case "const":
                    assert value == said
                case "enum":
                    assert value in said, value
                case "pattern":
                    assert re.search(said.replace("$", r"\Z"), value), value
                case "minimum":
                    assert value >= said
                case "maximum":
                    assert value <= said
                case "maxLength":
                    assert len(value) <= said
                case "required":
                    assert set(said) <= set(value), (value, said)
                case "properties":
                    for name in said.keys() & value.keys():
                        self.check(value[name], said[name])
                case _:
                    assert keyword in _SILENT or keyword.startswith("x-"), keyword


def _leaves(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [
            leaf
            for key, inner in value.items()
            for leaf in (_leaves(inner) if isinstance(inner, dict | list) else [(key, inner)])
        ]
    return [leaf for inner in value if isinstance(inner, dict | list) for leaf in _leaves(inner)]


@functools.cache
def document() -> Document:
    """The page as it stands."""
    return Document(PAGE.read_text(encoding="utf-8"))
