"""What the chart's scalers make of a number, and how KEDA is let in to Redis."""

import math
from typing import Any

import pytest

from tapedeck_testing.chart.kinds import VERSIONS, mistakes
from tapedeck_testing.chart.rendering import rendered

SCALING = {"HorizontalPodAutoscaler", "ScaledObject", "TriggerAuthentication", "Secret"}
STREAMS = "pusher.autoscaling.keda.trigger=redisStreams"


def scaled(how: str, *options: str) -> list[dict[str, Any]]:
    """What is rendered where the pusher is scaled by `how`."""
    wanted = [f"--set=pusher.autoscaling.{how}.enabled=true", *(f"--set={option}" for option in options)]
    documents = [one for one in rendered("minimal", *wanted) if one["kind"] in SCALING]
    assert [mistake for one in documents for mistake in mistakes(one, VERSIONS[-1])] == []
    return documents


def of(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The one of its kind."""
    (found,) = [one for one in documents if one["kind"] == kind]
    return found


def pods_wanted(target: dict[str, Any], metric: float, pods: int) -> int:
    """As the HPA counts by an external metric: `Value` holds it against the pods that there are, `AverageValue` shares it out among them."""
    if target["type"] == "Value":
        return math.ceil(pods * metric / int(target["value"]))
    return math.ceil(metric / int(target["averageValue"]))


@pytest.mark.parametrize(("age_s", "pods"), [(60, 4), (120, 4), (240, 4), (240, 2), (900, 1)])
def test_an_age_means_the_same_to_the_hpa_and_to_keda(age_s, pods):
    (metric,) = of(scaled("hpa"), "HorizontalPodAutoscaler")["spec"]["metrics"]
    (trigger,) = of(scaled("keda"), "ScaledObject")["spec"]["triggers"]
    # KEDA makes an HPA of its trigger: type and threshold are its target's.
    kind, threshold = trigger["metricType"], trigger["metadata"]["threshold"]
    keda = {"type": kind, {"Value": "value", "AverageValue": "averageValue"}[kind]: threshold}
    assert pods_wanted(metric["external"]["target"], age_s, pods) == pods_wanted(keda, age_s, pods)
    # And it is what the value says: with the age that may be, all stays as it is.
    assert pods_wanted(keda, 120, pods) == pods


def let_in(*options: str) -> dict[str, str]:
    """What KEDA gets, by parameter: the value, where the chart's own Secret has it, else `secret/key`."""
    documents = scaled("keda", STREAMS, *options)
    if not any(one["kind"] == "TriggerAuthentication" for one in documents):
        assert "authenticationRef" not in of(documents, "ScaledObject")["spec"]["triggers"][0]
        return {}
    own = of(documents, "Secret")
    authentication = of(documents, "TriggerAuthentication")
    for trigger in of(documents, "ScaledObject")["spec"]["triggers"]:
        assert trigger["authenticationRef"] == {"name": authentication["metadata"]["name"]}
    return {
        one["parameter"]: own["stringData"][one["key"]]
        if one["name"] == own["metadata"]["name"]
        else f"{one['name']}/{one['key']}"
        for one in authentication["spec"]["secretTargetRef"]
    }


def test_keda_is_who_the_services_are():
    assert let_in() == {}
    assert let_in("redis.url=redis://:secret@redis:6379") == {"password": "secret"}
    assert let_in("redis.url=redis://td%40a:p%2Fs%3As@redis") == {"username": "td@a", "password": "p/s:s"}
    assert let_in("redis.url=redis+sentinel://td:x@one\\,two/master") == {"username": "td", "password": "x"}


def test_a_ca_of_ones_own_is_kedas_too():
    options = ("redis.url=rediss://:secret@redis", "redis.tls.existingSecret.name=redis-ca")
    assert let_in(*options) == {"password": "secret", "ca": "redis-ca/ca.crt"}


def test_a_secret_of_ones_own_comes_first():
    secret = "pusher.autoscaling.keda.redisStreams.existingSecret"
    given = ("redis.url=redis://other:other@redis", f"{secret}.name=redis")
    assert let_in(*given) == {"password": "redis/password"}
    assert let_in(*given, f"{secret}.usernameKey=username") == {
        "username": "redis/username",
        "password": "redis/password",
    }


@pytest.mark.parametrize(
    ("option", "given", "tls"),
    [
        ("redis.tls.existingSecret.name=redis-ca", {"password": "redis", "ca": "redis-ca"}, "true"),
        ("pusher.autoscaling.keda.redisStreams.tls=true", {"password": "redis"}, "true"),
        ("redis.ports={6380}", {"password": "redis"}, None),
    ],
)
def test_an_address_in_a_secret_is_asked_as_it_is_said(option, given, tls):
    streams = "pusher.autoscaling.keda.redisStreams"
    secret = ("redis.url=", "redis.existingSecret.name=redis-url", f"{streams}.existingSecret.name=redis")
    documents = scaled("keda", STREAMS, *secret, f"{streams}.addresses={{redis:6380}}", option)
    (trigger,) = of(documents, "ScaledObject")["spec"]["triggers"]
    assert trigger["metadata"].get("enableTLS") == tls
    targets = of(documents, "TriggerAuthentication")["spec"]["secretTargetRef"]
    assert {one["parameter"]: one["name"] for one in targets} == given


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("redis://redis:6379", None),
        ("redis://redis:6379/3", "3"),
        ("redis://:a@redis/3?client_name=/4", "3"),
        ("redis+sentinel://one/master/2", "2"),
        ("redis+sentinel://one/7", None),
        ("redis+cluster://one/", None),
    ],
)
def test_hints_are_looked_for_in_the_database_of_the_services(url, database):
    for trigger in of(scaled("keda", STREAMS, f"redis.url={url}"), "ScaledObject")["spec"]["triggers"]:
        assert trigger["metadata"].get("databaseIndex") == database


def test_nothing_for_keda_lies_in_the_secret_where_it_asks_prometheus():
    secret = of(scaled("keda", "redis.url=redis://td:x@redis"), "Secret")
    assert set(secret["stringData"]) == {"redis-url"}
