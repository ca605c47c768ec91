"""Pages: a listing as calls, one for each page. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tapedeck.errors import UnexpectedAnswerError
from tapedeck.storage.caller import Caller
from tapedeck.storage.calls import Call
from tapedeck.storage.plan import Plan


class Page(Protocol):
    """What every page tells."""

    @property
    def next_page_token(self) -> str | None:
        """Of the page after it; None at the end."""


Item = TypeVar("Item")
AnyPage = TypeVar("AnyPage", bound=Page)


@dataclass(frozen=True, slots=True)
class Listed(Generic[Item, AnyPage]):
    """What is listed."""

    page: Callable[[str | None], Call[AnyPage]]
    """The call of the page with this token."""
    items: Callable[[AnyPage], Sequence[Item]]
    """Of a page."""
    page_token: str | None = None
    """Of the first page that is wanted."""


class PageCursor(Generic[Item, AnyPage]):
    """One walk through the pages."""

    def __init__(self, caller: Caller, listed: Listed[Item, AnyPage]) -> None:
        self._caller = caller
        self._listed = listed
        self._token = listed.page_token
        self._seen: set[str] = set()
        self._over = False

    def next_page(self) -> Plan[AnyPage | None]:
        """The next page; None after the last one. Raises StorageError; then the same page can be asked for again."""
        if self._over:
            return None
        page = yield from self._caller.carry_out(self._listed.page(self._token))
        token = page.next_page_token
        if token is None:
            self._over = True
        elif token in self._seen or token == self._token:
            raise UnexpectedAnswerError(f"{self._caller.base_url} answers the same page again and again")
        else:
            self._seen.add(token)
            self._token = token
        return page
