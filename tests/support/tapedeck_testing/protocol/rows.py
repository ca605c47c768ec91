"""The rows and sentences of docs/listen-protocol.md, each with the names of the rules in it.

Owns the names that tests give in the first words of their docstrings. Must not know how a rule is tested.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[4]
PAGE: Final = ROOT / "docs/listen-protocol.md"
TESTS: Final = ROOT / "tests/protocol"

ROWS: Final[tuple[tuple[str, str], ...]] = (
    # how a piece of the page begins, and the rules in it; "" where it holds none of its own
    ("`GET /v4/listen` upgrades", "upgrade"),
    ("One socket carries", "upgrade"),
    ("Two dialects share it", "dialect.v1 dialect.plain"),
    ("| query parameter |", ""),
    (
        "| `codec` |",
        "codec.default codec.pcm8 codec.pcm16 codec.opus codec.opus_fs320 codec.aac codec.unknown",
    ),
    ("| `sample_rate` |", "rate.default rate.bounds rate.resampled"),
    ("| `channels` |", "channels.default channels.two"),
    ("| `conversation_id` |", "conversation_id.made conversation_id.given"),
    ("| `session` |", "session.resumed session.mismatch"),
    ("| `pre_skip` |", "pre_skip"),
    ("| `ticket` |", "ticket.param"),
    ("Unknown parameters", "unknown_parameters"),
    ("Who speaks", "who_speaks"),
    ("Auth, any one of: `Authorization", "auth.header auth.subprotocol ticket.param auth.first_message"),
    ("`POST /v1/tickets`", "ticket.issue ticket.refused"),
    ("Refusing: who sends", "refusing.browser"),
    ("Everybody else gets the HTTP", "refusing.http"),
    ("A foreign `Origin`", "refusing.origin"),
    ("The first server message", "ready"),
    ('{"type":"ready"', "ready"),
    ("`resume_offset` is", "ready.resume_offset"),
    ("A session is resumable for 24 hours", "resumable.for resumable.closed"),
    ("One that cannot be resumed", "previous_offset"),
    ("Where it is not known", "previous_offset.unknown"),
    ("A client that no longer has", "client.lost_bytes"),
    ("In v1 audio that comes before", "not_ready"),
    ("A plain client waits for nothing", "plain.ahead plain.ahead.limit"),
    ("A binary message is audio", "binary"),
    ("PCM may be cut anywhere", "binary.cut binary.packet"),
    ("In the plain dialect a binary", "binary.keepalive binary.dtx"),
    ("**Offsets** count", "offset.counts"),
    ("For compressed codecs they lie", "offset.between"),
    ("For PCM an ack covers", "offset.lookahead offset.flush"),
    ("An odd last byte", "offset.odd"),
    ("Client text messages, JSON", "text.unknown text.malformed"),
    ("| message |", ""),
    ('| `{"type":"mark"', "mark mark.again"),
    ('| `{"type":"conversation"', "conversation"),
    ('| `{"type":"finalize"}`', "finalize.stored finalize.nothing finalize.late"),
    ('| `{"type":"keepalive"}`', "keepalive"),
    ('| `{"type":"close"}`', "close"),
    ("Server text messages", ""),
    ('| `{"type":"ack"', "ack ack.stored ack.plain"),
    ('| `{"type":"status"', "status"),
    ('| `{"type":"usage"', "usage"),
    ('| `{"type":"going_away"', "going_away going_away.before_1012"),
    ('| `{"type":"error"', "error error.codes error.before_close"),
    ("The server sends a WebSocket ping", "ping silence"),
    ("The first sample's time", "time.mark time.arrival"),
    ("From then on the sample clock", "time.clock"),
    ("A new run begins - in v1", "time.v1_run"),
    ("A mark never moves", "time.behind"),
    ("Marks older than 30 days", "time.bad_mark"),
    ("- in plain, where audio", "time.plain_run"),
    ("A stall with a burst", "time.burst"),
    ("Where two sessions of one", "time.overlap"),
    ("| what |", ""),
    ("| client sends faster", "pressure.bound"),
    ("| Redis away", "pressure.away"),
    ("| message over 64 KiB", "too_big"),
    ("| bytes that are no packet", "bad_audio bad_audio.in_a_row"),
    ("| user has no storing", "storing_off"),
    ("| over the daily limit", "limit.warn limit.reject"),
    ("| too many sockets", "places.process places.user"),
    ("| SIGTERM", "sigterm"),
    ("| token expires", "token_expires"),
    ("| close code |", ""),
    ("| 1000 |", "code.done"),
    ("| 1001, 1006, 1011", "code.again"),
    ("| 4401, 4429", "code.token"),
    ("| 1003, 1007, 1009", "code.stop"),
    ("| 4409", "code.replaced code.merging"),
    ("A client drops its copy", "client.drops"),
)


def rules() -> set[str]:
    """Every rule's name."""
    return {name for _, names in ROWS for name in names.split()}


def pieces(page: str) -> Iterator[str]:
    """The page, a row of a table or a sentence each; headings and rulers left out."""
    paragraph: list[str] = []
    in_code = False
    for line in [*page.splitlines(), ""]:
        alone = in_code or line.startswith(("```", "#", "|"))
        if alone or not line.strip() or (line.startswith("- ") and not _goes_on(paragraph)):
            yield from re.split(r"(?<=\.) (?=[A-Z`*])", " ".join(paragraph)) if paragraph else ()
            paragraph = []
        if line.startswith("```"):
            in_code = not in_code
        elif in_code or (line.startswith("|") and not line.startswith("| ---")):
            yield line
        elif not alone and line.strip():
            paragraph.append(line.strip())


def _goes_on(paragraph: list[str]) -> bool:
    return bool(paragraph) and paragraph[-1].endswith("A new run begins")


def tests_by_rule() -> dict[str, list[str]]:
    """For each name that a docstring of these tests begins with, the tests that name it."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name.startswith("test_"):
                names, _, rest = (ast.get_docstring(node) or "").partition(": ")
                for name in names.split(", ") if rest else ():
                    found.setdefault(name, []).append(f"{path.name}::{node.name}")
    return found
