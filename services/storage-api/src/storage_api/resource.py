"""One path of the table, with all its methods: what Starlette routes to.

Owns which row answers, and 405 with every method that the path has. GET answers HEAD too (RFC 9110 §9.3.2), where no row says otherwise.
"""

from collections.abc import Hashable, Iterable
from contextlib import ExitStack
from itertools import groupby

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from storage_api.row import Row
from storage_api.services import Services


class SegmentConvertor(Convertor[str]):
    """One part of a path, up to a slash or the colon before a verb; the handlers check ids themselves."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


class Resource:
    """The rows of one path."""

    def __init__(self, rows: Iterable[Row]) -> None:
        """ValueError: the rows are not of one path under one name, or two have one method."""
        rows = tuple(rows)
        self._rows: dict[str, Row] = {row.method: row for row in rows}
        if len({(row.path, row.name) for row in rows}) != 1 or len(self._rows) != len(rows):
            raise ValueError(f"rows that are not one path's: {rows}")
        self.path, self.name = rows[0].path, rows[0].name
        if "GET" in self._rows:
            self._rows.setdefault("HEAD", self._rows["GET"])

    @property
    def route(self) -> Route:
        """For Starlette."""
        path = self.path.replace("}", ":segment}")
        return Route(path, self.answer, methods=list(self._rows), name=self.name)

    async def answer(self, request: Request) -> Response:
        """The row's answer. For logs, the endpoint is then the handler."""
        row = self._rows[request.method]
        request.scope["endpoint"] = row.handler
        request.state.row = row
        with ExitStack() as held:

            def let_in(caller: Hashable) -> None:
                if row.places is not None:
                    held.enter_context(Services.of(request).slots[row.places].slot(caller))

            request.state.let_in = let_in
            return await row.handler(request)


def resources(table: Iterable[Row]) -> list[Resource]:
    """Those of a table, in its order. ValueError: rows of one path do not agree, or do not stand together."""
    register_url_convertor("segment", SegmentConvertor())
    made = [Resource(rows) for _, rows in groupby(table, key=lambda row: row.path)]
    if len({resource.path for resource in made}) != len(made) or len(
        {resource.name for resource in made}
    ) != len(made):
        raise ValueError("two paths have one name, or the rows of one path do not stand together")
    return made
