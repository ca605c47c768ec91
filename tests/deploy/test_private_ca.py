"""A bucket, an issuer and a collector under a company's own CA: reached with the variables that the chart's `caBundle` sets, and by no other way."""

import os
import subprocess
import sys

import pytest

from tapedeck_testing.chart.rendering import containers, pods
from tapedeck_testing.private_ca import VARIABLES, PrivateCa, TlsServer

PLACE = "/etc/tapedeck/ca"

GOOGLE = """
from audiostore.gcs_client import connect
print(connect().bucket("b").get_blob("x", retry=None) is not None)
"""
OBSTORE = """
from audiostore.{kind}_store import connect
print(connect("b").head("x")["size"] > 0)
"""
ISSUER = """
import asyncio, os
from servicekit.jwks import Jwks, _client
from servicekit.jwks_metrics import JwksMetrics
from servicekit.metrics import Metrics

async def fetched():
    async with _client() as client:
        return await Jwks(os.environ["URL"], JwksMetrics(Metrics("listen", "1")))._fetch(client)

print(asyncio.run(fetched()) == b"{}")
"""
COLLECTOR = """
import os
from servicekit.tracing import open_tracing
tracing = open_tracing("listen", "1", os.environ["URL"])
tracing.begin("session", {}).end()
print(tracing._provider.force_flush(30000))
"""
WAYS = {
    "gs": (GOOGLE, {"STORAGE_EMULATOR_HOST": "{url}"}),
    "s3": (
        OBSTORE.format(kind="s3"),
        {"AWS_ENDPOINT_URL": "{url}", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
    ),
    "az": (
        OBSTORE.format(kind="az"),
        {
            "AZURE_STORAGE_ENDPOINT": "{url}",
            "AZURE_STORAGE_ACCOUNT_NAME": "x",
            "AZURE_STORAGE_ACCOUNT_KEY": "eA==",
        },
    ),
    "issuer": (ISSUER, {}),
    "collector": (COLLECTOR, {"OTEL_EXPORTER_OTLP_ENDPOINT": "{url}"}),
}
"""By what is reached: a program that does it, and its environment."""


VALUES = "redis-cluster-tls"
"""The example with such a CA."""


def told_by_the_chart(service: str) -> dict[str, str]:
    """The variables of the CA as the pods of the service have them."""
    (container,) = [one for _, one in containers(VALUES) if one["name"] == service]
    return {one["name"]: one["value"] for one in container["env"] if one.get("value", "").startswith(PLACE)}


@pytest.fixture
def ca(tmp_path):
    return PrivateCa(tmp_path)


@pytest.fixture
def server(ca):
    with TlsServer(ca.server) as server:
        yield server


def reaching(way: str, server: TlsServer, told: dict[str, str]) -> subprocess.Popen[str]:
    """A process that does it, with these variables beside its own."""
    program, own = WAYS[way]
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    given = {name: value.format(url=server.url) for name, value in own.items()}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**inherited, "URL": server.url, **given, **told},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("service", ["listen", "pusher", "storage-api"])
def test_every_service_is_told_and_has_the_file(service):
    assert told_by_the_chart(service) == {
        "REQUESTS_CA_BUNDLE": f"{PLACE}/ca.crt",
        "SSL_CERT_FILE": f"{PLACE}/ca.crt",
    }
    (pod,) = [pod for name, pod in pods(VALUES) if name == f"tapedeck-{service}"]
    (mount,) = [one for one in pod["spec"]["containers"][0]["volumeMounts"] if one["mountPath"] == PLACE]
    assert mount["readOnly"] is True
    (volume,) = [one for one in pod["spec"]["volumes"] if one["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == "company-ca"
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]


def test_without_it_nobody_is_told_anything():
    for name, container in containers("minimal"):
        assert not {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"} & {one["name"] for one in container["env"]}, name
        assert PLACE not in {one["mountPath"] for one in container["volumeMounts"]}


@pytest.mark.parametrize("way", WAYS)
def test_what_the_chart_tells_is_enough(way, ca, server):
    told = dict.fromkeys(told_by_the_chart("storage-api"), str(ca.ca))
    said, _ = reaching(way, server, told).communicate(timeout=60)
    assert said.splitlines()[-1:] == ["True"], said
    assert server.asked
    assert not server.refused.is_set()


@pytest.mark.parametrize("way", WAYS)
def test_whoever_is_not_told_does_not_believe_it(way, server):
    process = reaching(way, server, {})
    try:
        assert server.refused.wait(60)
        assert not server.asked
    finally:
        process.kill()
        process.communicate()
