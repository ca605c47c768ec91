"""A reader of the YAML that docs/asyncapi.yaml is written in: a small part of YAML 1.2, so that the tests need no library for it.

Block mappings and sequences, indented by two; plain, double-quoted and `>-` scalars; flow sequences of plain words. Everything else is
refused, never guessed.
"""

import json
import re
from typing import Any, Final

Value = Any  # what JSON has

_KEY: Final = re.compile(r'([A-Za-z$_][\w$-]*|"[^"]*")\s*:(?: (.*))?$')
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?$")
_PLAIN: Final = re.compile(r"[A-Za-z0-9./`][^#]*$")


class NotPlainError(ValueError):
    """A line that is outside of this part of YAML."""


def read_plain_yaml(text: str) -> Value:
    """The document.

    Raises:
        NotPlainError: with the line.
    """
    lines = [
        (len(line) - len(line.lstrip()), line.strip())
        for line in text.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    reader = _Reader(lines)
    value = reader.block(0)
    if reader.at < len(lines):
        raise NotPlainError(lines[reader.at][1])
    return value


class _Reader:
    def __init__(self, lines: list[tuple[int, str]]) -> None:
        self.lines = lines
        self.at = 0

    def block(self, indent: int) -> Value:
        """What is indented by at least so much."""
        _, text = self.lines[self.at]
        return self._sequence(indent) if text.startswith("- ") else self._mapping(indent)

    def _mapping(self, indent: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while self.at < len(self.lines) and self.lines[self.at][0] == indent:
            text = self.lines[self.at][1]
            pair = _KEY.match(text)
            if pair is None:
                raise NotPlainError(text)
            key = json.loads(pair[1]) if pair[1].startswith('"') else pair[1]
            if key in found:
                raise NotPlainError(f"{text}: twice")
            self.at += 1
            found[key] = self._value(pair[2], indent)
        return found

    def _sequence(self, indent: int) -> list[Value]:
        found: list[Value] = []
        while self.at < len(self.lines) and self.lines[self.at][0] == indent:
            text = self.lines[self.at][1]
            if not text.startswith("- "):
                break
            if _KEY.match(text[2:]):
                self.lines[self.at] = (indent + 2, text[2:])
                found.append(self._mapping(indent + 2))
            else:
                self.at += 1
                found.append(_scalar(text[2:]))
        return found

    def _value(self, text: str | None, indent: int) -> Value:
        if text == ">-":
            words: list[str] = []
            while self.at < len(self.lines) and self.lines[self.at][0] > indent:
                words.append(self.lines[self.at][1])
                self.at += 1
            return " ".join(words)
        if text is not None:
            return _scalar(text)
        if self.at == len(self.lines) or self.lines[self.at][0] != indent + 2:
            raise NotPlainError(f"nothing, or wrongly indented, after line {self.at}")
        return self.block(indent + 2)


def _scalar(text: str) -> Value:
    if text.startswith('"'):
        return json.loads(text)
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(word.strip()) for word in text[1:-1].split(",")]
    if text in ("true", "false", "null"):
        return json.loads(text)
    if _NUMBER.match(text):
        return json.loads(text)
    if not _PLAIN.match(text) or ": " in text:
        raise NotPlainError(text)
    return text
