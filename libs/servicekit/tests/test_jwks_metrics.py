import json

from servicekit.auth import UserTokens
from servicekit.jwks import Jwks
from servicekit.jwks_metrics import JwksMetrics
from servicekit.metrics import Metrics

OK, FAILED = 'tapedeck_jwks_fetches_total{outcome="ok"}', 'tapedeck_jwks_fetches_total{outcome="failed"}'
AGE = "tapedeck_jwks_age_seconds"


class Issuer:
    """An ASGI app that serves a JWKS, or is away."""

    def __init__(self, document):
        self.document = json.dumps(document).encode()
        self.away = True

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        status = 503 if self.away else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": self.document})


def series(metrics):
    lines = (line.rpartition(" ") for line in metrics.render().decode().splitlines() if line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def test_all_is_zero_where_no_issuer_is_asked(secret_settings):
    metrics = Metrics("listen", "0")
    UserTokens(secret_settings(), metrics)
    assert [series(metrics)[name] for name in (OK, FAILED, AGE)] == [0, 0, 0]


async def test_fetches_are_counted_and_a_set_grows_old_while_its_issuer_is_away(
    served, ec_key, jwk, eventually, monkeypatch
):
    monkeypatch.setattr("servicekit.jwks.RETRY_S", (0.02,))
    metrics = Metrics("listen", "0")
    issuer = Issuer({"keys": [jwk(ec_key, kid="a")]})
    async with served(issuer, graceful_s=0.1) as url:
        jwks = Jwks(url, JwksMetrics(metrics), refresh_s=0.02)
        assert series(metrics)[AGE] == float("inf")
        async with jwks:
            await eventually(lambda: series(metrics)[FAILED])
            assert series(metrics)[AGE] == float("inf")
            issuer.away = False
            await eventually(lambda: series(metrics)[OK] >= 2)
            assert series(metrics)[AGE] < 5
            issuer.away = True
            failed = series(metrics)[FAILED]
            await eventually(lambda: series(metrics)[FAILED] > failed)
            age_s = series(metrics)[AGE]
            await eventually(lambda: series(metrics)[AGE] > age_s)
