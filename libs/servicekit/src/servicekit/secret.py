"""A text that must not be seen: settings hold their secrets in it.

Owns that neither repr, str nor format of settings shows one. Whoever needs the text asks for it by name, where a reader of the
code sees it. And what may be shown of an address, which may hold one: nobody else logs or tells an address.
"""

from typing import NoReturn


def shown_address(address: str) -> str:
    """The address as it may be told: `…` in place of user and password, of a query and of a fragment.

    Goes by the text, whatever is wrong with it: a password may hold a slash or a question mark that should have been percent-encoded, so all up to
    the last `@` is left out but the scheme. (An `@` in a path hides what is before it.)
    """
    before, at, rest = address.rpartition("@")
    scheme, colon, _ = before.partition("://")
    for mark in "?#":
        rest, found, _ = rest.partition(mark)
        if found:
            rest += f"{mark}…"
    return f"{scheme + colon if colon else ''}{'…@' if at else ''}{rest}"


class Secret:
    """A secret text; compares like the text, shows as dots."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """ValueError where it is no text that has bytes: an environment variable that was no UTF-8."""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("must be UTF-8") from None
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never written down")
