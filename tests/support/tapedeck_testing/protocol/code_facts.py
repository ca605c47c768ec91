"""What listen's code knows of the protocol, read from its sources: constants by name, and words in their places.

A constant may move from module to module; it must not be there twice with two values.
"""

import ast
import functools
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import listen

SOURCES: Final = Path(str(listen.__file__)).parent
CLOSE_CODES: Final = (*range(1000, 1016), *range(4400, 4500))


@functools.cache
def _trees() -> dict[str, ast.Module]:
    return {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES.glob("*.py")}


def constant(name: str) -> Any:
    """The value of a module's constant, wherever in listen it stands."""
    values = [
        getattr(importlib.import_module(f"listen.{module}"), name)
        for module, tree in _trees().items()
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name
    ]
    assert values, f"listen has no constant {name}"
    assert all(value == values[0] for value in values), f"{name} has two values in listen"
    return values[0]


def query_parameters() -> set[str]:
    """Every parameter that is looked for in a handshake's query."""
    found = set()
    for node in _nodes():
        if isinstance(node, ast.Call):
            words = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if words and (ast.unparse(node.func) == "_whole" or ast.unparse(node.func).endswith("query.get")):
                found.add(str(words[0]))
    return found


def client_types() -> set[str]:
    """Every `type` that `parse_client_text` looks for."""
    [parser] = [n for n in _nodes() if isinstance(n, ast.FunctionDef) and n.name == "parse_client_text"]
    return {
        str(pattern.value.value)
        for pattern in ast.walk(parser)
        if isinstance(pattern, ast.MatchValue) and isinstance(pattern.value, ast.Constant)
    }


def server_types() -> set[str]:
    """Every `type` that a text to the client is made with, in any module."""
    found = set()
    for node in _nodes():
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found |= {
                str(value.value)
                for key, value in pairs
                if isinstance(key, ast.Constant) and key.value == "type" and isinstance(value, ast.Constant)
            }
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith('{"type":"')
        ):
            found.add(node.value.split('"')[3])
    return {kind for kind in found if not kind.startswith("websocket.")}  # those are ASGI's


def close_codes() -> set[int]:
    """Every number in the code that is a close code, but for the bounds of what clients may send."""
    bounds = {
        id(inner)
        for node in _nodes()
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target).startswith("CODES_")
        for inner in ast.walk(node)
    }
    counted = {
        id(inner)
        for node in _nodes()
        if isinstance(node, ast.BinOp)  # arithmetic with 1000 is about milliseconds
        for inner in ast.walk(node)
    }
    return {
        node.value
        for node in _nodes()
        if isinstance(node, ast.Constant)
        and type(node.value) is int
        and node.value in CLOSE_CODES
        and id(node) not in bounds | counted
    }


def _nodes() -> Iterator[ast.AST]:
    for tree in _trees().values():
        yield from ast.walk(tree)
