"""A client's method that is made of a function of requests: its arguments, their types and its text are the function's own."""

import functools
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M")


class Method(Generic[P, R]):
    """Makes what is to be done of the arguments, and gives the client's driver and that to `give`."""

    def __init__(self, make: Callable[P, M], give: Callable[[Any, M], R]) -> None:
        self.__wrapped__ = make
        self.__doc__ = make.__doc__
        self._make: Callable[P, Any] = make
        self._give: Callable[[Any, Any], R] = give

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    @overload
    def __get__(self, client: object, owner: type) -> Callable[P, R]: ...

    def __get__(self, client: Any, owner: type) -> Self | Callable[P, R]:
        if client is None:
            return self
        make, give, driver = self._make, self._give, client.driver

        @functools.wraps(make)
        def method(*args: P.args, **kwargs: P.kwargs) -> R:
            return give(driver, make(*args, **kwargs))

        return method
