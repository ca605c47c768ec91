"""Parameters of the query that several routes take, as the table describes them. `parameters` reads them."""

from datetime import date
from typing import Annotated, Final

from msgspec import Meta

from storage_api.parameters import DEFAULT_MAX_GAP_S, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from storage_api.parameters import MAX_GAP_S as LONGEST_GAP_S
from storage_api.row import Parameter

_MOMENT: Final = "RFC 3339 or unix seconds"

START: Final = Parameter("start", str, f"Only from this time on: {_MOMENT}")
END: Final = Parameter("end", str, f"Only before this time: {_MOMENT}")
TIMESTAMPS: Final = Parameter(
    "timestamps",
    str,
    f"Only the chunks or batches that begin at these times, or hold them: {_MOMENT}, separated by commas; not together with start or end",
)
PAGE_SIZE: Final = Parameter(
    "page_size",
    Annotated[int, Meta(ge=1, le=MAX_PAGE_SIZE)],
    f"At most so many; {DEFAULT_PAGE_SIZE} where it is not given",
)
PAGE_TOKEN: Final = Parameter(
    "page_token", str, "`next_page_token` of the page before; all else in the query as it was"
)
MAX_GAP_S: Final = Parameter(
    "max_gap_s",
    Annotated[float, Meta(ge=0, le=LONGEST_GAP_S)],
    f"A gap longer than so many seconds parts two of them; {DEFAULT_MAX_GAP_S} where it is not given",
)
FROM_DAY: Final = Parameter("from", date, "The first UTC day; the day before `to` where it is not given")
TO_DAY: Final = Parameter("to", date, "The last UTC day, which is included; today where it is not given")
