"""docs/python-client.md: the methods of the storage clients, from the functions that they are made of.

`python -m tapedeck_testing.client_reference` (with tests/support on the path) writes it; a test compares it.
"""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from tapedeck import StorageClient
from tapedeck.storage import administering, changing, reading
from tapedeck.storage.calls import Call
from tapedeck.storage.method import Method
from tapedeck.storage.paging import Listed

PAGE = Path(__file__).parents[3] / "docs" / "python-client.md"

HEAD = """\
# Methods of the Python clients

Made from the code by `python -m tapedeck_testing.client_reference`. [use-from-your-service.md](use-from-your-service.md) shows them at work.

`tapedeck.StorageClient` and `tapedeck.AsyncStorageClient` have these methods. With the second, what answers is awaited, a list is iterated with `async for`, and a stream
is used in an `async with`. A time is a `datetime` with its zone, RFC 3339, or unix seconds; an `end` is exclusive. All raise `StorageError` in one of the kinds that `tapedeck.errors` draws. The types of
answers are in `tapedeck.storage_types`, field by field; unknown fields of a newer server are ignored.
"""
PARTS = {"Reading": reading, "Storing, deleting, merging": changing, "Users and operations": administering}


def client_page() -> str:
    """The page as it should be."""
    made = {
        name: method.__wrapped__ for name, method in vars(StorageClient).items() if isinstance(method, Method)
    }
    parts = [HEAD]
    for title, module in PARTS.items():
        parts.append(f"\n## {title}\n")
        for name, function in made.items():
            if function.__module__ == module.__name__:
                text = inspect.getdoc(function) or ""
                parts.append(f"\n### {name}\n\n```python\n{_signature(name, function)}\n```\n\n{text}\n")
    return "".join(parts)


def _signature(name: str, function: Callable[..., Any]) -> str:
    parameters = inspect.signature(function).replace(return_annotation=inspect.Signature.empty)
    text = re.sub(r"\b(?:[a-z_]+\.)+([A-Z])", r"\1", str(parameters))
    text = text.replace("datetime.date", "date").replace("datetime | str | float", "Moment")
    return f"{name}{text} -> {_answer(get_type_hints(function)['return'])}"


def _answer(made: Any) -> str:
    """What a client's method gives for what its function makes."""
    if get_origin(made) is Call:
        return _name(get_args(made)[0])
    if get_origin(made) is Listed:
        item, page = get_args(made)
        return f"list of {_name(item)}, pages of {_name(page)}"
    if made is reading.Streamed:
        return "AudioStream"
    return _name(get_args(get_type_hints(made.plan)["return"])[2])


def _name(kind: Any) -> str:
    return str(kind.__name__)


if __name__ == "__main__":
    PAGE.write_text(client_page(), encoding="utf-8")
