"""The pods that the chart renders: security, selectors, environment, probes, the time that they have to end."""

import json
import re
import shutil
from typing import Any

import pytest

from listen.settings import ListenSettings
from pusher.settings import PusherSettings
from servicekit.admin import AdminApp
from servicekit.health import Health
from servicekit.metrics import Metrics
from servicekit.process import OVERTIME_S
from servicekit.settings import describe
from storage_api.settings import StorageSettings
from tapedeck_testing.chart.rendering import (
    CHART,
    CI_VALUES,
    component,
    containers,
    of_kind,
    one_of,
    pods,
    rendered,
)

SETTINGS = {"listen": ListenSettings, "pusher": PusherSettings, "storage-api": StorageSettings}
KNOWN = {name: {row.variable for row in describe(struct)} for name, struct in SETTINGS.items()}
REQUIRED = {
    name: {row.variable for row in describe(struct) if row.required} for name, struct in SETTINGS.items()
}
NOT_OF_THE_CHART = {
    "TAPEDECK_ENCRYPTION_KEYS",  # the file is read again when it changes
    "TAPEDECK_PUSHER_NAME",  # host and process id are a pod's own
}
OF_LIBRARIES = ("AWS_", "AZURE_", "GOOGLE_", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "STORAGE_", "TZ")


@pytest.mark.parametrize("name", CI_VALUES)
def test_pods_are_restricted(name):
    """The restricted pod security standard (kubernetes.io/docs/concepts/security/pod-security-standards), and a read-only root."""
    for called, pod in pods(name):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, called
        assert spec["securityContext"].get("runAsUser", 1) > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} <= {
            *("emptyDir", "secret", "configMap", "persistentVolumeClaim")
        }
    for called, container in containers(name):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, called
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert not {"privileged", "runAsUser", "procMount"} & set(context)
        assert all("hostPort" not in port for port in container.get("ports", ()))
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("name", CI_VALUES)
def test_pods_get_no_token_and_no_variables_of_services(name):
    for called, pod in pods(name):
        assert pod["spec"]["automountServiceAccountToken"] is False, called
        assert pod["spec"]["enableServiceLinks"] is False, called
    assert all(one["automountServiceAccountToken"] is False for one in of_kind(name, "ServiceAccount"))


@pytest.mark.parametrize("name", CI_VALUES)
def test_every_container_says_what_it_needs(name):
    for called, container in containers(name):
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}, called
        assert "memory" in container["resources"]["limits"], called


@pytest.mark.parametrize("name", CI_VALUES)
def test_every_mount_is_a_volume_and_every_volume_is_mounted(name):
    for called, pod in pods(name):
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        if called.endswith("-redis") and (
            claims := one_of(name, "StatefulSet", called)["spec"].get("volumeClaimTemplates")
        ):
            volumes |= {claim["metadata"]["name"] for claim in claims}
        mounted = {
            mount["name"] for container in pod["spec"]["containers"] for mount in container["volumeMounts"]
        }
        assert mounted == volumes, called


def test_selectors_are_what_they_were_in_the_first_version():
    """A Deployment's cannot be changed: an upgrade that did would fail on every cluster."""
    for one in of_kind("embedded-redis", "Deployment", "StatefulSet"):
        assert one["spec"]["selector"] == {
            "matchLabels": {
                "app.kubernetes.io/name": "tapedeck",
                "app.kubernetes.io/instance": "tapedeck",
                "app.kubernetes.io/component": one["metadata"]["name"].removeprefix("tapedeck-"),
            }
        }


@pytest.mark.parametrize("name", CI_VALUES)
def test_selectors_fit_the_pods_and_know_no_version(name):
    for one in of_kind(name, "Deployment", "StatefulSet"):
        selector = one["spec"]["selector"]["matchLabels"]
        assert selector.items() <= one["spec"]["template"]["metadata"]["labels"].items()
        assert set(selector) == {f"app.kubernetes.io/{part}" for part in ("name", "instance", "component")}


@pytest.mark.parametrize("name", CI_VALUES)
def test_every_variable_is_a_setting_of_the_service_and_every_required_one_is_set(name):
    for called, container in containers(name):
        if container["name"] not in SETTINGS:
            continue
        names = [one["name"] for one in container["env"]]
        assert len(names) == len(set(names)), called
        others = {one for one in names if one.startswith(OF_LIBRARIES)}
        assert set(names) - others <= KNOWN[container["name"]], called
        assert set(names) >= REQUIRED[container["name"]], called
        assert all(one.get("value") != "" for one in container["env"]), called


def test_every_setting_can_be_set():
    """Over all examples. A new setting needs a name in values.schema.json (and in `_env.tpl`, if components share it), and in an example."""
    for service, known in KNOWN.items():
        seen = {
            one["name"]
            for name in CI_VALUES
            for _, container in containers(name)
            if container["name"] == service
            for one in container["env"]
        }
        assert known - seen == NOT_OF_THE_CHART & known, service


@pytest.mark.parametrize("name", CI_VALUES)
def test_probes_ask_for_what_the_admin_port_answers(name):
    admin = AdminApp(Health(), Metrics("test", "0"))
    for called, container in containers(name):
        if container["name"] not in SETTINGS:
            continue
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports["admin"] == 9090
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["port"] == "admin", called
            assert admin.answer("GET", asked["path"], "")[0] == 200, (called, probe)
        assert container["startupProbe"]["httpGet"]["path"] == "/livez"
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


@pytest.mark.parametrize("name", CI_VALUES)
def test_ports_are_those_that_the_services_are_told(name):
    for called, container in containers(name):
        if container["name"] not in SETTINGS:
            continue
        told = {
            one["name"]: int(one["value"].rpartition(":")[2])
            for one in container["env"]
            if one["name"].endswith("_BIND")
        }
        assert sorted(told.values()) == sorted(port["containerPort"] for port in container["ports"]), called


@pytest.mark.parametrize("name", CI_VALUES)
def test_the_grace_covers_pre_stop_and_drain(name):
    for called, pod in pods(name):
        (container,) = pod["spec"]["containers"]
        if container["name"] not in SETTINGS:
            continue
        environment = {one["name"]: one.get("value") for one in container["env"]}
        pre_stop = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        needed = pre_stop + float(environment["TAPEDECK_DRAIN_SECONDS"]) + OVERTIME_S
        assert pod["spec"]["terminationGracePeriodSeconds"] > needed, called


@pytest.mark.parametrize("name", CI_VALUES)
def test_pods_are_spread_and_guarded(name):
    budgets = {component(one) for one in of_kind(name, "PodDisruptionBudget")}
    for one in of_kind(name, "Deployment"):
        spread = one["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert {rule["topologyKey"] for rule in spread} == {
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        }
        assert component(one) in budgets


def test_only_who_has_to_do_with_the_bucket_gets_its_keys():
    told = {container["name"]: container for _, container in containers("everything")}
    mounted = {name: {mount["name"] for mount in one["volumeMounts"]} for name, one in told.items()}
    for name in ("pusher", "storage-api"):
        assert told[name]["envFrom"] == [{"secretRef": {"name": "tapedeck-azure"}}]
        assert {"encryption", "google", "store"} <= mounted[name]
    assert "envFrom" not in told["listen"]
    assert not {"encryption", "google", "store", "service-tokens"} & mounted["listen"]
    assert "jwt" not in mounted["pusher"]


def test_images_are_named_by_registry_tag_and_digest():
    assert {container["name"]: container["image"] for _, container in containers("everything")} == {
        "listen": "registry.example.com/tapedeck/tapedeck-listen:0.0.9",
        "pusher": f"registry.example.com/tapedeck/tapedeck-pusher@sha256:{'0' * 64}",
        "storage-api": "registry.example.com/tapedeck/tapedeck-storage-api:0.1.0",
        "test": "registry.example.com/tapedeck/tapedeck-storage-api:0.1.0",
    }


def test_what_the_pods_run_is_what_the_images_run():
    text = (CHART.parents[1] / "docker" / "Dockerfile").read_text()
    (user,) = re.findall(r"^USER (\d+):\d+$", text, re.MULTILINE)
    stages = dict(re.findall(r"^FROM runtime AS (\S+)\n(.*?)(?=^FROM|\Z)", text, re.MULTILINE | re.DOTALL))
    manifests = dict(pods("minimal"))
    for service in SETTINGS:
        pod = manifests[f"tapedeck-{service}"]["spec"]
        (container,) = pod["containers"]
        assert json.loads(stages[service].partition("CMD ")[2]) == container["command"]
        assert container["image"].partition(":")[0] == f"tapedeck-{service}"
        assert pod["securityContext"]["runAsUser"] == int(user)


def _templates(*options: str) -> dict[str, dict[str, Any]]:
    return {
        component(one): one["spec"]["template"]
        for one in rendered("embedded-redis", *options)
        if one["kind"] in ("Deployment", "StatefulSet")
    }


@pytest.mark.parametrize(
    ("option", "rolled"),
    [
        (f"auth.jwt.secret.value={'x' * 32}", {"listen", "storage-api"}),
        ("redis.embedded.password=other", {"listen", "pusher", "storage-api", "redis"}),
        # Read again from its file: nobody who records is cut off for it.
        (f"auth.serviceTokens.tokens[0].sha256={'0' * 64}", set()),
    ],
)
def test_pods_roll_when_they_must(option, rolled):
    given = (
        "--set=redis.embedded.password=one",
        f"--set=auth.serviceTokens.tokens[0].name=player,auth.serviceTokens.tokens[0].sha256={'1' * 64}",
        "--set=auth.serviceTokens.tokens[0].scopes={audio:read}",
    )
    before, after = _templates(*given), _templates(*given, f"--set={option}")
    assert {name for name in before if before[name] != after[name]} == rolled


def test_a_new_version_of_the_chart_alone_rolls_no_pod(tmp_path):
    """Else an upgrade one component after the other would roll all three each time, and the embedded Redis with them."""
    newer = tmp_path / "tapedeck"
    shutil.copytree(CHART, newer)
    page = newer / "Chart.yaml"
    page.write_text(re.sub(r"(?m)^(version|appVersion): .*$", r'\1: "9.9.9"', page.read_text()))
    before, after = (
        {
            component(one): one["spec"]["template"]
            for one in rendered("embedded-redis", "--set=image.tag=0.1.0", chart=chart)
            if one["kind"] in ("Deployment", "StatefulSet")
        }
        for chart in (CHART, newer)
    )
    assert before == after


def test_pusher_and_storage_api_are_kept_where_their_volume_is():
    """A volume for one node alone: the scheduler does not see to it."""
    together = {name: one["spec"].get("affinity") for name, one in _templates().items()}
    for name in ("pusher", "storage-api"):
        (rule,) = together[name]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert rule["topologyKey"] == "kubernetes.io/hostname"
        (which,) = rule["labelSelector"]["matchExpressions"]
        assert which["values"] == ["pusher", "storage-api"]
    assert together["listen"] is None
    assert (
        _templates("--set=store.persistence.accessModes={ReadWriteMany}")["pusher"]["spec"].get("affinity")
        is None
    )


def test_the_affinity_of_values_is_kept_beside_it():
    own = {
        "podAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "x"}}
            ]
        },
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []},
    }
    found = _templates(f"--set-json=pusher.affinity={json.dumps(own)}")["pusher"]["spec"]["affinity"]
    required = found["podAffinity"].pop("requiredDuringSchedulingIgnoredDuringExecution")
    assert len(required) == 1
    assert found == own


def test_the_embedded_redis_shows_its_password_to_nobody_and_goes_where_it_may():
    one = _templates("--set=redis.embedded.password=hidden,image.pullSecrets={registry}")["redis"]["spec"]
    assert "hidden" not in json.dumps(one)
    assert "REDIS_PASSWORD" not in json.dumps(one)
    assert one["containers"][0]["args"][0] == "/etc/redis/password.conf"
    assert one["imagePullSecrets"] == [{"name": "registry"}]
    (secret,) = [
        one
        for one in rendered("embedded-redis", "--set=redis.embedded.password=hidden")
        if one["kind"] == "Secret"
    ]
    assert secret["stringData"]["redis-password.conf"] == "requirepass hidden\n"
    chosen = _templates(
        "--set=redis.embedded.runAsUser=null", '--set-json=redis.embedded.tolerations=[{"operator":"Exists"}]'
    )["redis"]["spec"]
    assert chosen["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert chosen["tolerations"] == [{"operator": "Exists"}]


def test_the_test_pod_holds_no_key_that_it_does_not_need():
    (pod,) = of_kind("everything", "Pod")
    assert {volume["name"] for volume in pod["spec"]["volumes"]} == {"script", "tmp"}


def test_a_platform_may_choose_the_user():
    documents = rendered(
        "minimal", *(f"--set=podSecurity.{name}=null" for name in ("runAsUser", "runAsGroup", "fsGroup"))
    )
    for one in documents:
        if one["kind"] == "Deployment":
            context = one["spec"]["template"]["spec"]["securityContext"]
            assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
