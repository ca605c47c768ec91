"""What the chart renders: lint, Kubernetes' schemas and those of others, and that objects name only each other as they are."""

import copy
import json
import subprocess
from importlib.metadata import version as version_of
from typing import Any

import pytest
import yaml

from tapedeck_testing.chart.kinds import VERSIONS, mistakes
from tapedeck_testing.chart.rendering import (
    CHART,
    CI_VALUES,
    NAMESPACE,
    RELEASE,
    ci_file,
    helm,
    of_kind,
    one_of,
    pods,
    rendered,
)

COMPONENTS = ("listen", "pusher", "storage-api")


def test_the_examples_are_those_that_were_asked_for():
    assert set(CI_VALUES) == {"minimal", "gke", "keda", "redis-cluster-tls", "everything", "embedded-redis"}


@pytest.mark.parametrize("name", CI_VALUES)
def test_lint_finds_nothing(name):
    said = helm("lint", ".", "--strict", "--quiet", "--values", ci_file(name))
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("name", CI_VALUES)
def test_the_notes_say_how_to_go_on(name):
    said = helm(
        "install", RELEASE, ".", "--dry-run=client", "--namespace", NAMESPACE, "--values", ci_file(name)
    )
    assert said.returncode == 0, said.stderr
    notes = said.stdout.partition("NOTES:\n")[2]
    assert f"helm test {RELEASE} --namespace {NAMESPACE}" in notes
    assert ("tests.existingSecret.name=" in notes) == (name not in {"embedded-redis", "everything"})
    assert ("for trying out" in notes) == (name in {"embedded-redis", "everything"})
    assert "<no value>" not in said.stdout


def test_the_notes_warn_where_all_devices_would_seem_to_be_one():
    options = ("--set=ingress.enabled=true", "--set=ingress.listenHost=tapedeck.example.com")
    said = helm("install", RELEASE, ".", "--dry-run=client", "--values", ci_file("minimal"), *options)
    assert "listen.settings.trustedProxies is empty" in said.stdout


def test_the_chart_installs_the_version_that_it_lies_beside():
    facts = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert {version_of(f"tapedeck-{name}") for name in COMPONENTS} == {facts["appVersion"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CI_VALUES)
def test_every_object_is_what_its_kind_may_be(name, version):
    assert [mistake for one in rendered(name) for mistake in mistakes(one, version)] == []


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", ["spec", "template", "spec", "containers", 0, "livenessProbe", "httpGet"]),
        ("NetworkPolicy", ["spec", "egress", 0, "ports", 0]),
        ("ScaledObject", ["spec", "triggers", 0, "metadata"]),
        ("HTTPRoute", ["spec", "rules", 0, "backendRefs", 0]),
        ("HealthCheckPolicy", ["metadata"]),
    ],
)
def test_a_field_that_there_is_not_is_found(kind, path):
    for version in VERSIONS:
        broken: Any = copy.deepcopy(of_kind("everything", kind)[0])
        place = broken
        for step in path:
            place = place[step]
        place["notAField"] = "x"
        assert any("notAField" in mistake for mistake in mistakes(broken, version))


@pytest.mark.parametrize("name", CI_VALUES)
def test_no_two_objects_have_one_name(name):
    names = [(one["kind"], one["metadata"]["name"]) for one in rendered(name)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", CI_VALUES)
def test_what_selects_finds_the_pods_of_its_component(name):
    """Services, budgets and policies of a name select the pods of the workload that is named so, and no others."""
    labels = {called: pod["metadata"]["labels"] for called, pod in pods(name)}
    for one in of_kind(name, "Service", "PodDisruptionBudget", "NetworkPolicy"):
        spec = one["spec"]
        selector = (
            spec["selector"]
            if one["kind"] == "Service"
            else spec.get("selector", spec.get("podSelector"))["matchLabels"]
        )
        found = [called for called, have in labels.items() if selector.items() <= have.items()]
        assert found == [one["metadata"]["name"].removesuffix("-admin")], one["metadata"]["name"]


@pytest.mark.parametrize("name", CI_VALUES)
def test_ports_of_services_are_those_of_the_containers(name):
    named = {
        called: {
            port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", ())
        }
        for called, pod in pods(name)
    }
    for service in of_kind(name, "Service"):
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in named[service["metadata"]["name"].removesuffix("-admin")]


@pytest.mark.parametrize("name", CI_VALUES)
def test_routes_and_policies_name_services_that_there_are(name):
    ports = {
        one["metadata"]["name"]: {port["name"]: port["port"] for port in one["spec"]["ports"]}
        for one in of_kind(name, "Service")
    }
    for ingress in of_kind(name, "Ingress"):
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            assert path["backend"]["service"]["port"]["name"] in ports[path["backend"]["service"]["name"]]
    for route in of_kind(name, "HTTPRoute"):
        for backend in route["spec"]["rules"][0]["backendRefs"]:
            assert backend["port"] in ports[backend["name"]].values()
    for policy in of_kind(name, "GCPBackendPolicy", "HealthCheckPolicy"):
        assert policy["spec"]["targetRef"]["name"] in ports
    for one in of_kind(name, "Service"):
        if config := one["metadata"].get("annotations", {}).get("cloud.google.com/backend-config"):
            assert one_of(name, "BackendConfig", json.loads(config)["default"])


@pytest.mark.parametrize("name", CI_VALUES)
def test_who_scales_names_a_deployment_that_says_no_number_itself(name):
    scaled = [
        one["spec"]["scaleTargetRef"]["name"]
        for one in of_kind(name, "HorizontalPodAutoscaler", "ScaledObject")
    ]
    assert len(scaled) == len(set(scaled))
    for deployment in of_kind(name, "Deployment"):
        assert ("replicas" in deployment["spec"]) == (deployment["metadata"]["name"] not in scaled)


@pytest.mark.parametrize("name", CI_VALUES)
def test_the_charts_own_secret_has_what_is_asked_of_it(name):
    own = {one["metadata"]["name"]: set(one["stringData"]) for one in of_kind(name, "Secret")}
    asked = set()
    for _, pod in pods(name):
        for volume in pod["spec"]["volumes"]:
            secret = volume.get("secret", {})
            asked |= {(secret.get("secretName"), item["key"]) for item in secret.get("items", ())}
        for container in pod["spec"]["containers"]:
            references = [one.get("valueFrom", {}).get("secretKeyRef") for one in container.get("env", ())]
            asked |= {(one["name"], one["key"]) for one in references if one}
    for secret, key in asked:
        if secret == next(iter(own), None) or secret.endswith("-own"):
            assert key in own[secret]


def test_listen_is_scaled_by_connections_and_the_pusher_by_age():
    triggers = {one["metadata"]["name"]: one["spec"]["triggers"] for one in of_kind("keda", "ScaledObject")}
    (listen,) = triggers["tapedeck-listen"]
    assert listen["metadata"]["query"] == 'sum(tapedeck_connections{namespace="audio"})'
    assert listen["authenticationRef"] == {"name": "prometheus"}
    (pusher,) = triggers["tapedeck-pusher"]
    assert pusher["metadata"]["query"] == 'max(tapedeck_oldest_unstored_age_seconds{namespace="audio"}) >= 0'
    # Else KEDA takes what is not there for 0, and pods that Prometheus does not see for a while are taken away.
    assert listen["metadata"]["ignoreNullValues"] == pusher["metadata"]["ignoreNullValues"] == "false"
    assert [one["type"] for one in triggers["tapedeck-storage-api"]] == ["cpu"]


def test_each_partition_of_a_cluster_is_looked_at():
    (scaled,) = of_kind("redis-cluster-tls", "ScaledObject")
    triggers = scaled["spec"]["triggers"]
    assert [one["metadata"]["stream"] for one in triggers] == [f"td:ready:{{{p}}}" for p in range(16)]
    assert {one["type"] for one in triggers} == {"redis-cluster-streams"}
    assert {one["metadata"]["consumerGroup"] for one in triggers} == {"pusher"}
    assert {one["metadata"]["addresses"] for one in triggers} == {
        "redis-0.example.com:6380,redis-1.example.com:6380"
    }
    assert {one["metadata"]["enableTLS"] for one in triggers} == {"true"}
    (authentication,) = of_kind("redis-cluster-tls", "TriggerAuthentication")
    assert {one["authenticationRef"]["name"] for one in triggers} == {authentication["metadata"]["name"]}


def test_sentinels_and_their_master_are_read_from_the_address():
    options = (
        "pusher.autoscaling.keda.redisStreams.kind=",
        "pusher.autoscaling.keda.redisStreams.addresses=null",
    )
    documents = rendered("everything", *(f"--set={option}" for option in options))
    (scaled,) = [one for one in documents if one["kind"] == "ScaledObject"]
    trigger = scaled["spec"]["triggers"][0]
    assert trigger["type"] == "redis-sentinel-streams"
    assert trigger["metadata"]["addresses"] == "sentinel-0.example.com:26379,sentinel-1.example.com:26380"
    assert trigger["metadata"]["sentinelMaster"] == "mymaster"
    assert trigger["metadata"]["stream"] == "rec:ready:{0}"
    assert [mistake for version in VERSIONS for mistake in mistakes(scaled, version)] == []


def test_the_ca_is_named_in_an_address_of_the_charts_own():
    (secret,) = of_kind("redis-cluster-tls", "Secret")
    assert secret["stringData"]["redis-url"].endswith("?ssl_ca_certs=/etc/tapedeck/redis/ca.crt")


def _written(*left_out: str) -> list[dict[str, Any]]:
    """The groups of the file as the chart gives them on."""
    groups = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
    return [
        group
        | {"interval": "30s"}
        | {"rules": [{name: rule[name] for name in rule if name not in left_out} for rule in group["rules"]]}
        for group in groups
    ]


def _linked(groups: list[dict[str, Any]], page: str) -> list[dict[str, Any]]:
    text = json.dumps(groups).replace("docs/runbook.md#", f"{page}#")
    found: list[dict[str, Any]] = json.loads(text)
    return found


def test_alerts_and_dashboard_are_the_files():
    page = "https://docs.example.com/tapedeck/runbook"
    (rule,) = of_kind("everything", "PrometheusRule")
    assert rule["spec"]["groups"][:-1] == _linked(_written(), page)
    (google,) = of_kind("gke", "Rules")
    # Its CRD has an interval that must be given, and no keep_firing_for.
    assert google["spec"]["groups"][:-1] == _linked(_written("keep_firing_for"), page)
    dashboard = one_of("everything", "ConfigMap", "recorder-dashboard")
    shown = json.loads(dashboard["data"]["tapedeck.json"])
    (link,) = shown["links"]
    assert (link["type"], link["url"]) == ("link", page)
    assert shown | {"links": []} == json.loads((CHART / "files" / "dashboard.json").read_text())


def test_links_stay_as_they_are_where_no_address_is_given():
    documents = rendered("minimal", "--set=monitoring.alerts.enabled=true")
    (rule,) = [one for one in documents if one["kind"] == "PrometheusRule"]
    assert rule["spec"]["groups"][:-1] == _written()


ABSENT = """
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'tapedeck_build_info{namespace="audio",service="listen"}', values: '1x2000'}
      - {series: 'tapedeck_build_info{namespace="other",service="pusher"}', values: '1x2000'}
    alert_rule_test:
      - eval_time: 30h
        alertname: TapedeckComponentGone
        exp_alerts:
          - exp_labels: {namespace: audio, service: pusher, severity: critical}
            exp_annotations:
              summary: No process of pusher answers
              runbook_url: docs/runbook.md#tapedeckcomponentgone
"""


def test_a_component_of_the_release_that_is_gone_for_days_is_still_told(tmp_path, program):
    """What the file's own rule has forgotten by then. A component that is switched off is not missed."""
    documents = rendered("minimal", "--set=monitoring.alerts.enabled=true,storageApi.enabled=false")
    (rule,) = [one for one in documents if one["kind"] == "PrometheusRule"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    (tmp_path / "case.yaml").write_text(ABSENT)
    done = subprocess.run(
        [program("promtool"), "test", "rules", tmp_path / "case.yaml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_no_rule_twice_in_what_is_rendered(tmp_path, program):
    (rule,) = of_kind("everything", "PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    done = subprocess.run(
        [program("promtool"), "check", "rules", "--lint-fatal", tmp_path / "rules.yaml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, "duplicate" in done.stdout) == (0, False), done.stdout + done.stderr


def test_metrics_of_every_component_are_scraped():
    (monitor,) = of_kind("keda", "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"]
    found = [
        one["metadata"]["name"]
        for one in of_kind("keda", "Service")
        if wanted.items() <= one["metadata"]["labels"].items()
    ]
    assert sorted(found) == [f"{RELEASE}-{name}-admin" for name in COMPONENTS]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("admin", "/metrics")
    # prometheus-operator names the Service in a label of the same name as the metrics' own, which would be renamed for it.
    assert endpoint["relabelings"] == [{"action": "labeldrop", "regex": "service"}]


@pytest.mark.parametrize(
    ("key", "gone"), [("listen", "listen"), ("pusher", "pusher"), ("storageApi", "storage-api")]
)
def test_each_component_can_be_switched_off_alone(key, gone):
    for name in ("minimal", "gke", "everything"):
        documents = rendered(name, f"--set={key}.enabled=false")
        names = {one["metadata"]["name"] for one in documents if one["kind"] == "Deployment"}
        assert {called.rpartition(gone)[1] for called in names} == {""}
        assert len(names) == 2
        of_it = [
            one["metadata"]["name"]
            for one in documents
            if one["metadata"].get("labels", {}).get("app.kubernetes.io/component") == gone
        ]
        assert of_it == []


def test_one_host_may_carry_both():
    """Tickets are listen's, the rest below /v1 is storage-api's."""
    paths = {
        one["metadata"]["name"]: [
            (path["path"], path["pathType"]) for path in one["spec"]["rules"][0]["http"]["paths"]
        ]
        for one in of_kind("everything", "Ingress")
    }
    assert paths == {
        "recorder-listen": [("/v4", "Prefix"), ("/v1/tickets", "Exact")],
        "recorder-storage-api": [("/", "Prefix")],
    }
