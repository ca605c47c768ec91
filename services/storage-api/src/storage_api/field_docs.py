"""The docstrings of a struct's fields: the text below a field, which Python itself does not keep.

Read once from the source, when the OpenAPI description is made. Where there is no source there are no texts.
"""

import ast
import inspect
import textwrap
from itertools import pairwise


def field_docs(struct: type) -> dict[str, str]:
    """By field, its own text in one line; those of the classes that it is made from too."""
    found: dict[str, str] = {}
    for made_from in reversed(struct.__mro__[:-1]):
        try:
            source = textwrap.dedent(inspect.getsource(made_from))
        except (OSError, TypeError):
            continue
        found.update(_of_class(ast.parse(source).body[0]))
    return found


def _of_class(body: ast.stmt) -> dict[str, str]:
    if not isinstance(body, ast.ClassDef):
        return {}
    found = {}
    for field, text in pairwise(body.body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                found[name] = " ".join(said.split())
    return found
