"""Header lines in linear time: h11 0.16 takes seconds for one that holds 30,000 spaces before a byte that no line may hold.

Its expression tries every way to share the spaces out between a value's inner and outer white space. The same expression with
possessive parts accepts the same lines: what may be in a value and what may stand around it have no byte in common.
"""

import re
from typing import Any, Final, cast

from h11 import _readers

QUADRATIC: Final = rb"(?P<field_name>[-!#$%&'*+.^_`|~0-9a-zA-Z]+):[ \t]*(?P<field_value>([^\x00\s]+(?:[ \t]+[^\x00\s]+)*)?)[ \t]*"
LINEAR: Final = rb"(?P<field_name>[-!#$%&'*+.^_`|~0-9a-zA-Z]++):[ \t]*+(?P<field_value>([^\x00\s]++(?:[ \t]++[^\x00\s]++)*+)?)[ \t]*+"


def read_in_linear_time() -> None:
    """Gives h11 the better expression, if it has the one that is known here. May be called again."""
    readers = cast("Any", _readers)
    if readers.header_field_re.pattern == QUADRATIC:
        readers.header_field_re = re.compile(LINEAR)
