"""Addresses and amounts in the chart's values: what no service could start with is refused, and nothing that the services take."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from audiobus.connection import wrong_address
from audiostore.opening import check_address
from listen.origins import origins
from listen.proxies import TrustedProxies
from servicekit.parsers import key_prefix, key_url
from tapedeck_testing.chart.rendering import CHART, template

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def redis_address(text: str) -> None:
    """ValueError where no service starts with it."""
    for wrong in wrong_address("redis.url", text):
        raise ValueError(wrong)


READ_BY: dict[str, Callable[[str], Any]] = {
    "redis.url": redis_address,
    "store.url": check_address,
    "store.fallbackUrl": check_address,
    "auth.jwt.jwksUrl": key_url,
    "listen.settings.trustedProxies": TrustedProxies.parse,
    "listen.settings.allowedOrigins": origins,
    "settings.redisPrefix": key_prefix,
}
"""What each is to the services: it raises ValueError or an error of its own."""

GOOD = {
    "redis.url": [
        "redis://redis",
        "redis://redis.data.svc:6379/0",
        "redis://:p%40ss@10.0.0.1:65535/15?socket_timeout=2",
        "rediss://user:pass@[2001:db8::1]:1/",
        "redis+cluster://one,two:6380,three",
        "rediss+cluster://:p@one:6379/?ssl_ca_certs=/ca",
        "redis+sentinel://one,two:26380/mymaster",
        "rediss+sentinel://:p@one/mymaster/2?sentinel_password=x",
        "redis+sentinel://one/mymaster?sentinel_username=a&sentinel_password=b&socket_keepalive=true",
        "redis://redis:6379/20?client_name=tapedeck&health_check_interval=30&socket_keepalive=True",
        "redis://redis?socket_connect_timeout=0.5&socket_read_size=65536",
        "rediss://redis?ssl_ca_certs=/ca&ssl_cert_reqs=required&ssl_check_hostname=false&ssl_certfile=/c&ssl_keyfile=/k",
    ],
    "store.url": [
        "gs://example-audio",
        "gs://audio.example.com/a/b_c",
        "s3://abc/prefix/",
        "s3://audio_2",
        "az://audio/tapedeck",
    ],
    "auth.jwt.jwksUrl": [
        "https://issuer.example.com/.well-known/jwks.json",
        "https://issuer:8443/keys?x=1",
        "http://127.0.0.1:8000/keys",
    ],
    "listen.settings.trustedProxies": ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "0.0.0.0/0"],
    "listen.settings.allowedOrigins": [
        "https://app.example.com",
        "https://App.example.com:443",
        "http://[::1]:8080",
        "chrome-extension://abcdefgh",
        "app://MyApp",
        "file://",
    ],
    "settings.redisPrefix": ["td:", "größe:", "x" * 64],
}
BAD = {
    "redis.url": [
        "redis://redis:99999",
        "redis://redis:65536",
        "redis://redis:port",
        "redis://one,two",
        "redis://redis/audio",
        "redis://:6379",
        "redis://",
        "redis+cluster://one,two:70000",
        "redis+cluster://one,,two",
        "redis+sentinel://one:26379",
        "redis+sentinel://one/master/first",
        "redis://:pa/ss@redis:6379",
        "redis://redis/123456",
        "redis://redis/1/2",
        "redis://redis:0",
        "redis+cluster://one,two/3",
        "redis+sentinel://one/master/123456",
        "redis://redis?socket_timeout=0",
        "redis://redis?client_name=",
        "http://redis",
        "redis://redis?sokcet_timeout=2",
        "redis://redis?socket_timeout=soon",
        "redis://redis?socket_timeout=2&max_connection=5",
        "redis://redis?ssl_ca_certs=/ca",
        "redis+cluster://one?socket_timeout=2&ssl_ca_certs=/ca",
    ],
    "store.url": [
        "gs://",
        "gs://ab",
        "gs://Example",
        "gs://-audio",
        "s3://audio-",
        "s3://example audio",
        "az://a/b",
        "gs://audio/a//b",
        "gs://audio/../b",
        "gs://audio/a/..",
        "gcs://audio",
    ],
    "auth.jwt.jwksUrl": [
        "http://issuer.example.com/jwks.json",
        "https://",
        "https:///keys",
        "issuer.example.com",
        "https://issuer:99999/keys",
    ],
    "listen.settings.trustedProxies": [
        "300.0.0.0/8",
        "10.0.0.0/33",
        "10.0.0",
        "10.0.0.0/8/8",
        "2001:db8::/129",
        "010.0.0.0/8",
    ],
    "listen.settings.allowedOrigins": [
        "https://app.example.com/",
        "app.example.com",
        "*",
        "https://*.example.com",
        "https://me@app.example.com",
        "https://app.example.com?x",
        "https://app.example.com:0",
        "https://app.example.com:70000",
    ],
    "settings.redisPrefix": ["td *", "{td}:", "t?", "t[d]", "t\\d", "t\nd", "x" * 65],
}
OURS_ALONE = {
    "redis.url": [
        "redis://redis/audio",
        "unix:///tmp/redis.sock",
        "redis://redis?protocol=3",
        "redis://redis?decode_responses=true",
        "redis://redis?sentinel_password=x",
        "redis://redis?db=2",
        "redis://redis?username=a&password=b",
    ],
    "store.url": ["az://audio--two", "az://audio.two", "s3://au..dio"],
    "auth.jwt.jwksUrl": [],
    "listen.settings.trustedProxies": [],
    "listen.settings.allowedOrigins": [],
    "settings.redisPrefix": [""],
}
"""What services take for another reason, or find out later: the chart says so at once."""


def valid(place: str, value: Any) -> bool:
    """Whether the schema takes it there."""
    values = json.loads(json.dumps(VALUES))
    there = values
    *way, last = place.split(".")
    for step in way:
        there = there[step]
    there[last] = [value] if last in {"trustedProxies", "allowedOrigins"} else value
    return Draft7Validator(SCHEMA).is_valid(values)


def taken(place: str, value: str) -> bool:
    """Whether the services take it."""
    with contextlib.suppress(Exception):
        READ_BY[place](value)
        return True
    return False


@pytest.mark.parametrize(("place", "value"), [(place, one) for place in GOOD for one in GOOD[place]])
def test_what_the_services_take_is_taken(place, value):
    assert taken(place, value)
    assert valid(place, value)


@pytest.mark.parametrize(("place", "value"), [(place, one) for place in BAD for one in BAD[place]])
def test_what_no_service_starts_with_is_refused(place, value):
    assert not taken(place, value) or place == "auth.jwt.jwksUrl"
    assert not valid(place, value)


@pytest.mark.parametrize(
    ("place", "value"), [(place, one) for place in OURS_ALONE for one in OURS_ALONE[place]]
)
def test_what_cannot_be_meant_is_refused(place, value):
    assert not valid(place, value)


def test_the_second_bucket_is_held_to_the_same():
    for value in BAD["store.url"]:
        assert not valid("store.fallbackUrl", value), value


@pytest.mark.parametrize(
    ("place", "good", "bad"),
    [
        ("otlpEndpoint", "http://collector.monitoring:4318", "http://collector:99999"),
        ("listen.image.repository", "registry.example.com:5000/audio/listen", "tapedeck-listen:1.0"),
        ("listen.image.repository", "tapedeck-listen", "https://registry.example.com/listen"),
        ("image.registry", "registry.example.com:5000/audio", "registry.example.com/Audio"),
        ("redis.embedded.image", "valkey/valkey:8.1", "valkey/valkey:"),
        ("pusher.resources", {"limits": {"memory": "512Mi"}}, {"limits": {"memory": "512m"}}),
        ("pusher.resources", {"limits": {"cpu": "0.5"}}, {"limits": {"cpu": "1.2.3"}}),
        ("pusher.resources", {"limits": {"memory": "1G"}}, {"limits": {"memory": "1KB"}}),
        ("store.persistence.size", "10Gi", "10 Gi"),
    ],
)
def test_pods_that_could_never_start_are_refused(place, good, bad):
    assert valid(place, good)
    assert not valid(place, bad)


@pytest.mark.parametrize(
    "network",
    [
        "10.0.0.1/8",
        "192.0.2.129/25",
        "fd00::1/8",
        "2001:db8:8000::/32",
        "::ffff:10.0.0.1/104",
        "1:2:3",
        "1::2::3",
        "12345::/16",
    ],
)
def test_a_network_that_no_pattern_tells_from_a_good_one_is_refused_too(network):
    assert not taken("listen.settings.trustedProxies", network)
    assert valid("listen.settings.trustedProxies", network)
    said = template("minimal", f"--set=listen.settings.trustedProxies={{{network}}}")
    assert said.returncode != 0
    assert f"listen.settings.trustedProxies: {network} " in said.stderr


def test_networks_that_the_services_take_are_taken():
    networks = [*GOOD["listen.settings.trustedProxies"], "192.0.2.128/25", "2001:db8:8000::/33", "::/0"]
    networks += ["1:2:3:4:5:6:7:8/127", "::ffff:10.0.0.0/104", "fe80::", "10.64.0.0/10"]
    assert all(taken("listen.settings.trustedProxies", one) for one in networks)
    said = template("minimal", f"--set=listen.settings.trustedProxies={{{','.join(networks)}}}")
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize(
    ("option", "place"),
    [
        ("redis.url=redis://redis:99999", "/redis/url"),
        ("redis.url=redis://redis?sokcet_timeout=2", "/redis/url"),
        ("redis.url=redis://redis?ssl_ca_certs=/ca", "/redis/url"),
        ("store.url=gs://Example", "/store/url"),
        ("store.fallbackUrl=gs://audio/a//b", "/store/fallbackUrl"),
        ("auth.jwt.jwksUrl=http://issuer.example.com/keys", "/auth/jwt/jwksUrl"),
        ("listen.settings.trustedProxies={300.0.0.0/8}", "/listen/settings/trustedProxies/0"),
        ("pusher.resources.limits.memory=512m", "/pusher/resources/limits/memory"),
        ("listen.image.repository=listen:1", "/listen/image/repository"),
        ("pusher.autoscaling.keda.redisStreams.addresses={redis:99999}", "/redisStreams/addresses/0"),
    ],
)
def test_helm_says_where(option, place):
    said = template("minimal", "--set", option)
    assert said.returncode != 0
    assert place in said.stderr


@pytest.mark.parametrize(
    ("name", "option", "text"),
    [
        (
            "minimal",
            "redis.tls.existingSecret.name=ca",
            "redis.tls is for an address that begins with rediss",
        ),
        ("embedded-redis", "redis.tls.existingSecret.name=ca", "this Redis is asked without TLS"),
        ("redis-cluster-tls", "store.env.SSL_CERT_FILE=/x", "both say whom to trust"),
        ("embedded-redis", "settings.redisWaitReplicas=1", "the embedded Redis has no replica"),
        ("everything", "monitoring.serviceMonitor.interval=4s", "is less than the 5s that a scrape may take"),
        ("everything", "monitoring.podMonitoring.interval=4999ms", "is less than the 5s that a scrape"),
    ],
)
def test_what_does_not_go_together_is_told(name, option, text):
    said = template(name, "--set", option)
    assert said.returncode != 0
    assert text in said.stderr
