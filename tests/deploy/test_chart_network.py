"""The network policies: every port of every pod is covered, and what the services need is open."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tapedeck_testing.chart.rendering import (
    CI_VALUES,
    Manifest,
    component,
    containers,
    of_kind,
    one_of,
    pods,
    rendered,
)


def _ports(rules: list[Manifest]) -> set[object]:
    return {port["port"] for rule in rules for port in rule["ports"]}


@pytest.mark.parametrize("name", CI_VALUES)
def test_every_port_of_every_pod_is_covered_and_no_other(name):
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(name, "NetworkPolicy")}
    for called, pod in pods(name):
        (container,) = pod["spec"]["containers"]
        policy = policies.pop(called)
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert _ports(policy["ingress"]) == {port["name"] for port in container.get("ports", ())}, called
        assert all("from" not in rule or rule["from"] for rule in policy["ingress"]), (
            "an empty list lets everybody in"
        )
    assert policies == {}


@pytest.mark.parametrize("name", CI_VALUES)
def test_services_reach_names_redis_bucket_and_keys(name):
    for one in of_kind(name, "NetworkPolicy"):
        if component(one) not in {"listen", "pusher", "storage-api"}:
            continue
        assert {53, 443} <= _ports(one["spec"]["egress"])
        (container,) = [found for called, found in containers(name) if called == one["metadata"]["name"]]
        told = {variable["name"]: variable.get("value", "") for variable in container["env"]}
        for variable in ("TAPEDECK_JWT_JWKS_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"):
            if port := urlsplit(told.get(variable, "")).port:
                assert port in _ports(one["spec"]["egress"])
        metadata = {
            block["ipBlock"]["cidr"] for rule in one["spec"]["egress"] for block in rule.get("to", ())
        }
        assert ("169.254.169.254/32" in metadata) == (component(one) != "listen"), (
            "credentials of the machine"
        )


@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("minimal", {6379}),
        ("embedded-redis", {6379}),
        ("redis-cluster-tls", {6380, 6381, 6382}),
        ("everything", {26379, 26380, 6379}),
    ],
)
def test_redis_is_reached_where_its_address_says(name, ports):
    fullname = "recorder" if name == "everything" else "tapedeck"
    policy = one_of(name, "NetworkPolicy", f"{fullname}-pusher")
    assert ports <= _ports(policy["spec"]["egress"])


def test_a_jwks_on_a_port_of_its_own_is_reached():
    documents = rendered("minimal", "--set=auth.jwt.jwksUrl=https://issuer.example.com:8443/jwks.json")
    (policy,) = [
        one for one in documents if one["kind"] == "NetworkPolicy" and component(one) == "storage-api"
    ]
    assert 8443 in _ports(policy["spec"]["egress"])


def test_a_store_with_an_address_of_its_own_is_reached_by_who_uses_it():
    documents = rendered("minimal", "--set=store.env.AWS_ENDPOINT_URL=http://minio.data:9000")
    policies = {component(one): one["spec"]["egress"] for one in documents if one["kind"] == "NetworkPolicy"}
    assert {name for name, egress in policies.items() if 9000 in _ports(egress)} == {"pusher", "storage-api"}


def test_only_services_reach_the_embedded_redis():
    policy = one_of("embedded-redis", "NetworkPolicy", "tapedeck-redis")
    (rule,) = policy["spec"]["ingress"]
    (peer,) = rule["from"]
    (expression,) = peer["podSelector"]["matchExpressions"]
    assert expression["values"] == ["listen", "pusher", "storage-api"]
    assert "namespaceSelector" not in peer


def test_keda_reaches_the_embedded_redis_that_it_is_to_look_at():
    options = ("keda.enabled=true", "keda.trigger=redisStreams")
    documents = rendered("embedded-redis", *(f"--set=pusher.autoscaling.{option}" for option in options))
    (policy,) = [one for one in documents if one["kind"] == "NetworkPolicy" and component(one) == "redis"]
    assert {"app": "keda-operator"} in [
        peer["podSelector"].get("matchLabels") for peer in policy["spec"]["ingress"][0]["from"]
    ]
    (scaled,) = [one for one in documents if one["kind"] == "ScaledObject"]
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["address"] == "tapedeck-redis:6379"
    assert trigger["authenticationRef"] == {"name": "tapedeck-pusher-redis"}


def test_narrowed_clients_still_include_the_test():
    policy = one_of("everything", "NetworkPolicy", "recorder-listen")
    (rule,) = [rule for rule in policy["spec"]["ingress"] if rule["ports"][0]["port"] == "http"]
    assert [peer for peer in rule["from"] if "podSelector" in peer]
    assert len([peer for peer in rule["from"] if "ipBlock" not in peer]) == 2


def test_googles_load_balancers_reach_both_ports():
    """And requests the other one, which come from the same addresses, where not everybody may."""
    clients = [{"podSelector": {"matchLabels": {"app": "player"}}}]
    documents = rendered("gke", f"--set-json=networkPolicy.clients={json.dumps(clients)}")
    (policy,) = [
        one
        for one in documents
        if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "tapedeck-listen"
    ]
    rules = {rule["ports"][0]["port"]: rule["from"] for rule in policy["spec"]["ingress"]}
    for port in ("admin", "http"):
        assert {peer["ipBlock"]["cidr"] for peer in rules[port] if "ipBlock" in peer} == {
            *("35.191.0.0/16", "130.211.0.0/22"),
            *("2600:2d00:1:b029::/64", "2600:2d00:1:1::/64"),
        }, port
    assert clients[0] in rules["http"]


def test_a_component_without_hosts_gets_no_route():
    options = [
        "--set=gateway.enabled=true,gateway.parentRefs[0].name=external",
        "--set=gateway.listenHosts[0]=listen.example.com",
    ]
    routes = [one for one in rendered("minimal", *options) if one["kind"] == "HTTPRoute"]
    assert [(one["metadata"]["name"], one["spec"]["hostnames"]) for one in routes] == [
        ("tapedeck-listen", ["listen.example.com"])
    ]


def _service(*options: str) -> dict[str, Any]:
    (found,) = [
        one
        for one in rendered("minimal", *options)
        if one["kind"] == "Service" and one["metadata"]["name"] == "tapedeck-listen"
    ]
    return found


def test_a_load_balancer_keeps_clients_addresses_and_takes_whom_it_shall():
    found = _service(
        "--set=listen.service.type=LoadBalancer,listen.service.loadBalancerClass=example.com/inner",
        "--set=listen.service.loadBalancerSourceRanges={10.0.0.0/8}",
    )
    assert found["spec"]["externalTrafficPolicy"] == "Local"
    assert found["spec"]["loadBalancerClass"] == "example.com/inner"
    assert found["spec"]["loadBalancerSourceRanges"] == ["10.0.0.0/8"]
    assert not {"externalTrafficPolicy", "loadBalancerClass", "loadBalancerSourceRanges"} & set(
        _service()["spec"]
    )


def test_annotations_of_a_service_come_before_the_charts():
    (key, of_operator) = ("cloud.google.com/neg", '{"exposed_ports": {"80": {}}}')
    found = _service(
        "--set=gke.backendConfig.enabled=true",
        f"--set-json=listen.service.annotations={json.dumps({key: of_operator})}",
    )
    assert found["metadata"]["annotations"] == {
        key: of_operator,
        "cloud.google.com/backend-config": '{"default":"tapedeck-listen"}',
    }
