"""The OpenAPI 3.1 description, made from the table of routes. Pure.

Shapes come from the very types that print and parse (msgspec), with the docstrings of their fields. What is no JSON API, `/docs` and the
description itself, is not in it.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, Final

import msgspec
from msgspec.inspect import StructType, Type, multi_type_info

from servicekit.problem import MEDIA_TYPE
from storage_api.answer_headers import answer_headers
from storage_api.field_docs import field_docs
from storage_api.ids import ID_PATTERN
from storage_api.problem_codes import PROBLEM_CODES
from storage_api.row import Media, Parameter, Row
from storage_api.wire import Problem

Json = dict[str, Any]

VERSION: Final = "3.1.0"
DESCRIBED: Final = "/v1/"
"""What is described begins so."""

_DESCRIPTION: Final = """Recorded conversations, stored and on their way into the store, as one.

A user's token reads and deletes what is theirs; another user's id is 404. A service's token acts for every user, as far as its scopes go:
each operation names the one it needs. Errors are problems (RFC 9457) with a `code` that does not change. Unknown query parameters are
ignored, but for requests that delete: those are refused with 400."""

_PATH_IDS: Final[Mapping[str, Json]] = {
    "uid": {"description": "The user", "schema": {"type": "string", "pattern": ID_PATTERN}},
    "cid": {"description": "The conversation", "schema": {"type": "string", "pattern": ID_PATTERN}},
}
_OTHER_ID: Final[Json] = {
    "description": "As another answer gave it",
    "schema": {"type": "string", "minLength": 1},
}


def describe(table: Iterable[Row], version: str) -> Json:
    """The whole description. ValueError: two types of the wire have one name."""
    rows = [row for row in table if row.path.startswith(DESCRIBED)]
    schemas, components = _schemas(rows)
    return {
        "openapi": VERSION,
        "info": {
            "title": "Tapedeck storage API",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(_tag(row) for row in rows)],
        "paths": {
            path: {row.method.lower(): _operation(row, schemas) for row in methods}
            for path, methods in groupby(rows, key=lambda row: row.path)
        },
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A user's JWT, or the token of a service",
                }
            },
        },
    }


def _operation(row: Row, schemas: Mapping[Any, Json]) -> Json:
    described: Json = {
        "operationId": row.operation_id,
        "summary": row.summary,
        "tags": [_tag(row)],
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, **_PATH_IDS.get(name, _OTHER_ID)}
                for name in row.path_ids
            ),
            *(_parameter(parameter, schemas) for parameter in row.parameters),
        ],
        "responses": {
            **{str(status): _answer(row, status, schemas) for status in sorted(row.answers)},
            **{
                str(status): _refusal(row, status, list(codes), schemas)
                for status, codes in groupby(sorted(row.problems, key=_status), key=_status)
            },
        },
    }
    if row.description:
        described["description"] = row.description
    if row.scope is not None:
        described["security"] = [{"bearer": [scope]} for scope in (row.scope, *row.or_scopes)]
    if row.body is not None:
        content = {"application/json": {"schema": schemas[row.body]}}
        described["requestBody"] = {"required": row.body_required, "content": content}
    return described


def _parameter(parameter: Parameter, schemas: Mapping[Any, Json]) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.description,
        "schema": schemas[parameter.type],
    }


def _answer(row: Row, status: int, schemas: Mapping[Any, Json]) -> Json:
    kind = row.answers[status]
    described: Json = {"description": row.summary if status == 200 else _PHRASES.get(status, row.summary)}
    if isinstance(kind, Media):
        described["content"] = {media_type: {} for media_type in kind.types}
    elif kind is not None:
        described["content"] = {"application/json": {"schema": schemas[kind]}}
    return described | {"headers": _headers(row, status)}


def _headers(row: Row, status: int) -> Json:
    return {
        name: {"description": header.description, "required": header.always, "schema": {"type": "string"}}
        for name, header in answer_headers(row, status).items()
    }


_PHRASES: Final = {
    202: "It is under way",
    204: "Done",
    206: "The part that `Range` asks for",
    304: "Nothing has changed",
}


def _refusal(row: Row, status: int, codes: list[str], schemas: Mapping[Any, Json]) -> Json:
    said = "; ".join(f"`{code}`: {PROBLEM_CODES[code].meaning}" for code in codes)
    described: Json = {"description": said}
    if row.method != "HEAD":
        schema = {**schemas[Problem], "properties": {"code": {"enum": codes}}}
        described["content"] = {MEDIA_TYPE: {"schema": schema}}
    return described | {"headers": _headers(row, status)}


def _status(code: str) -> int:
    return PROBLEM_CODES[code].status


def _tag(row: Row) -> str:
    """What the operation is about: `conversations`, else the first word of its path after the version."""
    words = re.findall(r"[a-z-]+", row.path.removeprefix(DESCRIBED))
    return "conversations" if "conversations" in words else words[0]


def _schemas(rows: Iterable[Row]) -> tuple[dict[Any, Json], dict[str, Json]]:
    """The schema of each type that the rows name, and the components that these refer to."""
    types: list[Any] = [Problem]
    for row in rows:
        types += [parameter.type for parameter in row.parameters]
        types += [row.body] if row.body is not None else []
        types += [kind for kind in row.answers.values() if kind is not None and not isinstance(kind, Media)]
    types = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    for struct in _structs(multi_type_info(types)):
        if struct.__name__ not in components:
            raise ValueError(f"two types of the wire are called {struct.__name__}")
        properties = components[struct.__name__].get("properties", {})
        for name, said in field_docs(struct).items():
            if name in properties:
                properties[name]["description"] = said
    return dict(zip(types, schemas, strict=True)), components


def _structs(infos: Iterable[Type]) -> list[type]:
    """Every struct in these types, each once."""
    found: dict[type, None] = {}
    todo: list[Any] = list(infos)
    while todo:
        info = todo.pop()
        if isinstance(info, StructType):
            if info.cls in found:
                continue
            found[info.cls] = None
            todo += [field.type for field in info.fields]
        elif isinstance(info, Type):
            for name in info.__struct_fields__:
                value = getattr(info, name)
                todo += [
                    one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Type)
                ]
    return list(found)
