"""The options after `?` in an address of Redis: which there are, and what each may be. Pure.

Owns the list. redis-py takes more (`protocol`, `decode_responses`, `retry_on_timeout`, …), with which this package's own rules would not hold, and
says of some what is wrong with them only as it connects. No text of an error holds a value: it may be a password.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from audiobus.errors import BadUrlError

SENTINELS_OWN: Final = ("sentinel_username", "sentinel_password")


def database(text: str) -> bool:
    """Whether it can be the number of a database. How many there are (`databases`, 16 mostly) the server says."""
    return re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) is not None


def _whole(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is not None


def _seconds(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text, re.ASCII) is not None and float(text) > 0


def _yes_or_no(text: str) -> bool:
    return text.lower() in {"true", "false", "yes", "no", "1", "0"}


def _demand(text: str) -> bool:
    return text in {"none", "optional", "required"}


_ANY: Final = (bool, "not empty")
_NUMBER: Final = (_whole, "a whole number")
_TIME: Final = (_seconds, "a number of seconds above 0")
_SWITCH: Final = (_yes_or_no, "true or false")
KNOWN: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    **dict.fromkeys(("username", "password", "client_name"), _ANY),
    **dict.fromkeys(SENTINELS_OWN, _ANY),
    "db": (database, "the number of a database"),
    **dict.fromkeys(("socket_read_size", "health_check_interval"), _NUMBER),
    **dict.fromkeys(("socket_timeout", "socket_connect_timeout"), _TIME),
    **dict.fromkeys(("socket_keepalive", "ssl_check_hostname"), _SWITCH),
    **dict.fromkeys(("ssl_keyfile", "ssl_certfile", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data"), _ANY),
    **dict.fromkeys(("ssl_ciphers", "ssl_password"), _ANY),
    "ssl_cert_reqs": (_demand, "none, optional or required"),
}


def check_options(query: Sequence[tuple[str, str]], *, tls: bool, sentinels: bool, databases: bool) -> None:
    """Whether an address may have them: `databases`, where its servers have more than one.

    Raises:
        BadUrlError: one is not known, or not there, or twice there, or has a value that it cannot have.
    """
    names = [name for name, _ in query]
    for name, value in query:
        if name not in KNOWN:
            raise BadUrlError(f"the option {name[:40]!r} is not known; there are {', '.join(sorted(KNOWN))}")
        fits, what = KNOWN[name]
        if names.count(name) > 1:
            raise BadUrlError(f"the option {name} is there more than once")
        if name.startswith("ssl_") and not tls:
            raise BadUrlError(f"the option {name} is of TLS: the address must begin with rediss")
        if name in SENTINELS_OWN and not sentinels:
            raise BadUrlError(f"the option {name} is of sentinels: the address must be redis+sentinel://")
        if name == "db" and not databases:
            raise BadUrlError("a cluster has one database: leave db out")
        if not fits(value):
            raise BadUrlError(f"the option {name} must be {what}")
