"""Labels of requests: what the table can answer, and `other`."""

import pytest

from servicekit.metrics import Metrics
from storage_api.metrics import StorageMetrics
from storage_api.routes import TABLE


@pytest.fixture
def registry():
    return Metrics("storage-api", "test")


@pytest.fixture
def requests(registry):
    return StorageMetrics(registry, TABLE).requests


def series(registry) -> list[bytes]:
    return [
        line for line in registry.render().splitlines() if line.startswith(b"tapedeck_http_requests_total{")
    ]


def test_every_answer_of_the_table_has_its_series_from_the_start(registry, requests):
    assert all(line.endswith(b" 0.0") for line in series(registry))
    for row in TABLE:
        for status in row.statuses:
            label = f'{{method="{row.method}",route="{row.name}",status="{status}"}}'
            assert any(label.encode() in line for line in series(registry))


@pytest.mark.parametrize(
    ("asked", "counted"),
    [
        (("GET", "audio", "206"), ("GET", "audio", "206")),
        (("GET", "audio", "418"), ("GET", "audio", "other")),
        (("GET", "flush", "405"), ("other", "flush", "405")),
        (("BREW", "flush", "405"), ("other", "flush", "405")),
        (("BREW", "flush", "418"), ("other", "flush", "other")),
        (("GET", "other", "404"), ("GET", "other", "404")),
        (("BREW", "nowhere", "404"), ("other", "other", "other")),
    ],
)
def test_what_is_not_known_is_other(registry, requests, asked, counted):
    before = series(registry)
    requests[asked].inc()
    method, route, status = counted
    line = f'tapedeck_http_requests_total{{method="{method}",route="{route}",status="{status}"}} 1.0'
    assert set(series(registry)) - set(before) == {line.encode()}
