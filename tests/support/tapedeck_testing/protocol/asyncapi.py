"""docs/asyncapi.yaml, read: what its references mean, and whether a message is as it says."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft7Validator, ValidationError
from jsonschema.validators import extend

PAGE: Final = Path(__file__).parents[4] / "docs/asyncapi.yaml"


def _pattern(_validator: Any, said: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """`pattern` as ECMA 262 means it: `$` is the end, and not before a line feed too."""
    if isinstance(value, str) and not re.search(said.replace("$", r"\Z"), value):
        yield ValidationError(f"{value!r} does not match {said!r}")


# AsyncAPI's own schemas are draft 7; stricter: 1.0 is no integer.
_Validator: Final = extend(
    Draft7Validator,
    {"pattern": _pattern},
    type_checker=Draft7Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
)


class _UniqueKeysLoader(yaml.SafeLoader):
    """YAML that may not say a key twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's own signature
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(found) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key stands here twice", node.start_mark)
        return found


def read_yaml(text: str) -> Any:
    """The value of a YAML document.

    Raises:
        yaml.YAMLError: it is no YAML, or says a key twice.
    """
    return yaml.load(text, _UniqueKeysLoader)


class Document:
    """The whole document. `tree` is the plain value; `at` follows references."""

    def __init__(self, text: str) -> None:
        self.tree: dict[str, Any] = read_yaml(text)

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

    def check(self, value: Any, schema: dict[str, Any]) -> None:
        """Whether a value is as a schema of the document says.

        Raises:
            AssertionError: with what is wrong.
        """
        # references of the schema begin at the root, which is the document's
        rooted = {**self.resolved(schema), "components": self.tree["components"]}
        wrong = [f"{error.json_path}: {error.message}" for error in _Validator(rooted).iter_errors(value)]
        assert not wrong, (value, wrong)


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
