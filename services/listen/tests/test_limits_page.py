"""docs/limits.md says what the code does: each limit's value, each metric's name."""

import importlib
import re

import pytest

from listen.metrics import ListenMetrics
from listen.settings import ListenSettings
from servicekit.jwks_metrics import JwksMetrics
from servicekit.metrics import Metrics
from servicekit.settings import markdown

UNITS = {"": 1, "s": 1, "KiB": 1024, "MiB": 1024 * 1024}
ROW = re.compile(r"^\| `([A-Za-z_.]+)`[^|]*\| ([^|]+) \| [^|]* \| ([^|]+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def page(request) -> str:
    return (request.config.rootpath / "docs" / "limits.md").read_text(encoding="utf-8")


def constant(name: str) -> float:
    module, _, attribute = name.partition(".")
    for package in ("listen", "servicekit"):
        try:
            value = getattr(importlib.import_module(f"{package}.{module}"), attribute)
        except (ModuleNotFoundError, AttributeError):
            continue
        per_s = 1_000 if name.endswith("_MS") else 48_000 if name.endswith("_SAMPLES") else 1
        return value / per_s
    raise AssertionError(f"nothing is called {name}")


def test_every_limit_has_the_value_that_the_page_says(page):
    rows = ROW.findall(page)
    assert len(rows) > 35
    settings = dict(re.findall(r"\| `(TAPEDECK_\w+)` \| `([^`]*)` \|", markdown(ListenSettings)))
    for name, default, _ in rows:
        if name.startswith("TAPEDECK_"):
            assert settings[name] == default, name
        else:
            number, _, unit = default.partition(" ")
            assert constant(name) == float(number) * UNITS[unit], name


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
