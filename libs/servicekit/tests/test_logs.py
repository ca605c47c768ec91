import io
import json
import logging
import warnings

import pytest

from servicekit.logs import configure, log_context


@pytest.fixture
def lines():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("listen", "info", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.captureWarnings(False)
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_is_a_json_object(lines):
    logging.getLogger("listen.socket").info("closed %s", "well\nü", extra={"code": 1000, "audio_s": 1.5})
    (line,) = lines()
    assert line.pop("time").endswith("Z")
    assert line == {
        "severity": "INFO",
        "message": "closed well\nü",
        "service": "listen",
        "logger": "listen.socket",
        "code": 1000,
        "audio_s": 1.5,
    }


def test_levels(lines):
    logging.getLogger("x").debug("no")
    logging.getLogger("httpx").info("no: it would show addresses")
    logging.getLogger("x").warning("yes")
    assert [line["severity"] for line in lines()] == ["WARNING"]


def test_exceptions(lines):
    try:
        int("here")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = lines()
    assert "ValueError: invalid literal" in line["exception"]


def test_contexts_nest_and_end(lines):
    log = logging.getLogger("x")
    with log_context(conversation_id="c"):
        with log_context(request_id="r"):
            log.info("inner")
        log.info("outer")
    log.info("none")
    found = [(line.get("conversation_id"), line.get("request_id")) for line in lines()]
    assert found == [("c", "r"), ("c", None), (None, None)]


def test_nothing_breaks_a_line(lines):
    circle = []
    circle.append(circle)
    log = logging.getLogger("x")
    log.info("a", extra={"value": float("nan"), "severity": "mine"})
    log.info("b", extra={"value": circle})
    log.info("c", extra={"value": object(), "bytes": b"\xff", "surrogate": "\ud800"})
    assert [(line["message"], line["severity"]) for line in lines()] == [
        ("a", "INFO"),
        ("b", "INFO"),
        ("c", "INFO"),
    ]


def test_warnings_are_logged(lines):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old" in lines()[0]["message"]
