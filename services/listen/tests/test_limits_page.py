"""docs/limits.md says what listen does: each limit's value, each metric's name; and no limit of the code is missing there."""

import importlib
import re
from pathlib import Path

import pytest

import listen
from listen.metrics import ListenMetrics
from listen.settings import ListenSettings
from servicekit.jwks_metrics import JwksMetrics
from servicekit.metrics import Metrics
from servicekit.settings import markdown
from tapedeck_testing.limits_page import STORAGE_API, in_units_of_the_page, limits_of, on_page

ROW = re.compile(r"^\| `([A-Za-z_.]+)`[^|]*\| ([^|]+) \| [^|]* \| ([^|]+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def page(request) -> str:
    text = (request.config.rootpath / "docs" / "limits.md").read_text(encoding="utf-8")
    return text.partition(STORAGE_API)[0]


def constant(name: str) -> float:
    module, _, attribute = name.partition(".")
    for package in ("listen", "servicekit", "audiocodec", "audiobus"):
        try:
            value = getattr(importlib.import_module(f"{package}.{module}"), attribute)
        except (ModuleNotFoundError, AttributeError):
            continue
        return in_units_of_the_page(name, value)
    raise AssertionError(f"nothing is called {name}")


def test_every_limit_has_the_value_that_the_page_says(page):
    rows = ROW.findall(page)
    assert len(rows) > 35
    settings = dict(re.findall(r"\| `(TAPEDECK_\w+)` \| `([^`]*)` \|", markdown(ListenSettings)))
    for name, default, _ in rows:
        if name.startswith("TAPEDECK_"):
            assert settings[name] == default, name
        else:
            assert constant(name) == on_page(default), name


def test_every_metric_on_the_page_is_one(page):
    metrics = Metrics("listen", "0")
    ListenMetrics(metrics)
    JwksMetrics(metrics)
    series = metrics.render().decode()
    for _, _, cell in ROW.findall(page):
        for found in re.findall(r"`([^`]+)`", cell):
            family, _, value = found.rstrip("}").partition("{")
            match family:
                case "refused":
                    assert f'tapedeck_refused_total{{reason="{value}"}}' in series, found
                case "rejected":
                    assert f'tapedeck_messages_rejected_total{{reason="{value}"}}' in series, found
                case "closes":
                    assert f'tapedeck_closes_total{{code="{value}"}}' in series, found
                case _:
                    assert f"# TYPE {family} " in series, found


def test_every_limit_that_an_operator_sets_is_on_the_page(page):
    for name in re.findall(r"`(TAPEDECK_MAX_\w+)`", markdown(ListenSettings)):
        assert f"`{name}`" in page


BEYOND = "audiobus.bus audiobus.chunk audiocodec.adts audiocodec.packet servicekit.auth servicekit.ids servicekit.jwks servicekit.keys"
"""Modules of the libraries whose limits a client of listen meets."""
NO_LIMITS = {
    "how often something is done": (
        "jwks.REFRESH_S allowance.LOOK_EVERY_MS former_sessions.FIRST_LOOK_MS former_sessions.LONGEST_PAUSE_MS high_water.LOOK_S load.CALM_MS load.PLAIN_CALM_MS"
        " loss_watch.LOOK_S merge_news.LOOK_S merge_watch.LOOK_MS messages.KEEPALIVE_S"
        " server.SWEEP_S settlement.FIRST_LOOK_MS settlement.LONGEST_LOOK_MS settlement.REFRESH_MS sockets.PULSE_S"
    ),
    "a pause before another try": (
        "former_sessions.AGAIN_MS former_sessions.GRACE_MS late_usage.FIRST_PAUSE_S late_usage.LONGEST_PAUSE_S patience.FIRST_PAUSE_MS patience.LONGEST_PAUSE_MS"
    ),
    "how the drain time, which is a limit, is shared out": (
        "late_usage.LAST_S service.CLIENTS_S service.LAST_S sockets.LAST_WORDS_S sockets.LEAVE_EACH_S sockets.SETTLE_S "
        "sockets.UNANSWERED_S"
    ),
    "how audio finds its time: rules of the protocol page": (
        "alignment.INTERLEAVED_MS alignment.JITTER_MS alignment.SILENT_MS load.LAST_PACKET_MS sample_clock.BURST_MS"
        " sample_clock.LATE_FOR_MS sample_clock.LATE_MS sample_clock.MARK_AHEAD_MS transcode_lane.SILENCE_MS"
    ),
    "how long a span of a session is: after that it has another": "session_spans.STRETCH_S",
    "what is read again": "merge_news.OVERLAP_MS",
    "how a clock is read": "arrival.TICK_MS arrivals.STEP_MS",
    "how often something is tried at once": "loss_watch.FAILURES_MOST",
    "when those come back whom a limit stopped": "allowance.MORNING_MS",
    "what something is taken to weigh, or from which size on it is treated otherwise": (
        "connection.SMALL_BYTES connection.WEIGH_BYTES outbox.CHUNK_BYTES pace.SMALL_SAMPLES reading.FRAME_MOST_S"
        " reading.WORTH_S recording.HELD_MESSAGE_BYTES"
        " transcode_lane.PIECE_BYTES transcode_lane.STRETCH_BYTES upcoming.UPCOMING_BYTES"
    ),
    "a piece in which something is read": "http_side.READ_BYTES",
    "part of a format": (
        "adts.MAX_FRAME_BYTES adts.BLOCK_SAMPLES adts._HEADER_BYTES adts._CRC_BYTES adts._POSITION_BYTES adts._MAX_HEADER_BYTES"
        " chunk.HEAD_BYTES packet._FRAMING_BYTES packet.MAX_SINGLE_BYTES"
        " audio_format.FRAME_SAMPLES handshake.KEY_BYTES messages.KEEPALIVE_BYTES wire.CODES_LEAST wire.CODES_MOST"
    ),
    "what a reader of the buffer takes: what listen writes is smaller": "chunk.MAX_CHUNK_BYTES chunk.MAX_PACKETS",
    "when Redis forgets what is in the bucket": "bus.QUIET_MS",
    "on the page under its other name": "ids.MAX_ID_LENGTH session_rate.SESSIONS_MOST outbox.TAIL_BYTES wire.MESSAGE_BYTES_LIMIT",
}
"""Constants that are called as limits are, by why they are none of their own."""


def test_every_limit_in_the_code_is_on_the_page(page):
    own = [f"listen.{path.stem}" for path in Path(listen.__file__).parent.glob("*.py")]
    modules = (importlib.import_module(name) for name in (*own, *BEYOND.split()))
    found = {
        f"{module.__name__.rpartition('.')[2]}.{name}" for module in modules for name in limits_of(module)
    }
    assert len(found) > 60
    said = set(re.findall(r"`([a-z_0-9]+\.[A-Z_0-9]+)`", page))
    exempt = {name for names in NO_LIMITS.values() for name in names.split()}
    assert found - said - exempt == set(), "say them on the page, or here why they are no limits"
    assert exempt & said == set()
    assert exempt - found == set(), "these are gone"
