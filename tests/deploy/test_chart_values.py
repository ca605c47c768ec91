"""The chart's values: a typo at any level is refused, what excludes each other is too, and the README says all of it."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from tapedeck_testing.chart import readme
from tapedeck_testing.chart.rendering import CHART, CI_VALUES, ci_file, helm, template

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
VALIDATOR = Draft7Validator(SCHEMA)
NAMED_BY_OTHERS = {"strings"}
"""Definitions whose names are the operator's own."""
KUBERNETES = {"affinity", "tolerations", "peer", "egress", "valueFrom"}
"""Those that are Kubernetes' own, of which no default says every name."""


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if reference := schema.get("$ref"):
        found: dict[str, Any] = SCHEMA["definitions"][reference.removeprefix("#/definitions/")]
        return found
    return schema


def _objects(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of an object that can be reached, but those that are named by others."""
    if schema.get("$ref", "").removeprefix("#/definitions/") in NAMED_BY_OTHERS:
        return
    found = _resolved(schema)
    if found.get("type") == "object":
        yield path, found
        for name, below in found.get("properties", {}).items():
            yield from _objects(below, f"{path}.{name}")
    elif found.get("type") == "array":
        yield from _objects(found["items"], f"{path}[]")


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return {key: _merged(below.get(key), above.get(key, below.get(key))) for key in below | above}
    return above


def _mappings(
    values: Any, schema: dict[str, Any], path: tuple[str | int, ...]
) -> Iterator[tuple[str | int, ...]]:
    """Every place in values where a name of the chart's own may stand."""
    if schema.get("$ref", "").removeprefix("#/definitions/") in NAMED_BY_OTHERS:
        return
    found = _resolved(schema)
    if isinstance(values, dict) and "additionalProperties" in found:
        yield path
        for name, value in values.items():
            yield from _mappings(value, found.get("properties", {}).get(name, {}), (*path, name))
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from _mappings(value, found.get("items", {}), (*path, index))


def test_the_schema_is_closed_at_every_level():
    open_ones = [
        path for path, schema in _objects(SCHEMA, "") if schema.get("additionalProperties") is not False
    ]
    # Helm's own, and variables of other libraries, whose names have a pattern.
    assert open_ones == [".global", ".store.env"]


def test_every_value_is_in_the_schema_and_every_name_of_the_schema_is_a_value():
    def names(values: Any, schema: dict[str, Any]) -> None:
        if schema.get("$ref", "").removeprefix("#/definitions/") in KUBERNETES:
            return
        found = _resolved(schema)
        if not isinstance(values, dict) or "properties" not in found:
            return
        assert set(values) <= set(found["properties"])
        for name, below in found["properties"].items():
            assert name in values, name
            names(values[name], below)

    schema = copy.deepcopy(SCHEMA)
    del schema["properties"]["global"]
    # Settings are listed in docs/settings.md; their defaults are the code's.
    values = copy.deepcopy(VALUES)
    for holder, below in (
        (values, schema),
        *((values[one], schema["properties"][one]) for one in ("listen", "pusher", "storageApi")),
    ):
        del holder["settings"], below["properties"]["settings"]
    for name in ("listen", "pusher", "storageApi"):
        del values[name]["resources"], schema["properties"][name]["properties"]["resources"]
    names(values, schema)


@pytest.mark.parametrize("name", CI_VALUES)
def test_the_examples_are_good_values(name):
    assert list(VALIDATOR.iter_errors(_merged(VALUES, yaml.safe_load(Path(ci_file(name)).read_text())))) == []


def test_a_typo_at_any_level_is_refused():
    values = _merged(VALUES, yaml.safe_load(Path(ci_file("everything")).read_text()))
    places = list(_mappings(values, SCHEMA, ()))
    assert len(places) > 80
    for place in places:
        mistaken = copy.deepcopy(values)
        there: Any = mistaken
        for step in place:
            there = there[step]
        there["typo"] = "x"
        assert not VALIDATOR.is_valid(mistaken), place


@pytest.mark.parametrize(
    "typo",
    [
        "listne.enabled=true",
        "listen.replica=3",
        "redis.embedded.persistence.siez=1Gi",
        "settings.drainSecond=30",
        "listen.settings.maxSocket=1",
        "storageApi.resources.limits.memroy=1Gi",
        "auth.serviceTokens.tokens[0].nmae=x",
        "store.env.AWS-REGION=x",
        "listen.affinity.nodeAfinity.preferredDuringSchedulingIgnoredDuringExecution=null",
        "listen.tolerations[0].kee=x",
        "redis.embedded.tolerations[0].kee=x",
        "listen.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKye=x",
        "networkPolicy.clients[0].podselector.matchLabels.app=x",
        "networkPolicy.monitoring[0].namespaceSelector.matchLabel.app=x",
        "networkPolicy.extraEgress[0].port=3128",
        "networkPolicy.extraEgress[0].to[0].ipblock.cidr=10.0.0.0/8",
        "pusher.extraEnv[0].valueFrom.secretKeyref.name=x",
    ],
)
def test_helm_refuses_a_typo_too(typo):
    said = template("minimal", "--set", typo)
    assert said.returncode != 0
    assert "meet the specifications of the schema" in said.stderr
    assert any(f"'{word}'" in said.stderr for word in re.split(r"[.=]|\[0\]", typo))


@pytest.mark.parametrize("component", ["listen", "pusher", "storageApi"])
def test_hpa_and_keda_exclude_each_other(component):
    both = [f"--set={component}.autoscaling.{one}.enabled=true" for one in ("hpa", "keda")]
    said = template("minimal", *both)
    assert said.returncode != 0
    assert f"/{component}/autoscaling" in said.stderr
    unchecked = template("minimal", *both, "--skip-schema-validation")
    assert unchecked.returncode != 0
    assert f"{component}.autoscaling: hpa and keda exclude each other" in unchecked.stderr


@pytest.mark.parametrize("how", ["hpa", "keda"])
def test_nothing_is_scaled_to_zero(how):
    said = template(
        "minimal", f"--set=pusher.autoscaling.{how}.enabled=true,pusher.autoscaling.{how}.minReplicas=0"
    )
    assert said.returncode != 0
    assert "minReplicas" in said.stderr


@pytest.mark.parametrize(
    ("name", "option", "text"),
    [
        ("minimal", "redis.url=", "Redis is missing: set redis.url"),
        (
            "minimal",
            "redis.embedded.enabled=true",
            "Redis is named more than once: keep one of redis.url, redis.embedded.enabled",
        ),
        ("embedded-redis", "redis.embedded.existingSecret.name=x", "the embedded Redis has one password"),
        ("minimal", "store.url=", "the bucket is missing: set store.url"),
        ("minimal", "store.fallbackUrl=gs://example-audio/", "store.fallbackUrl is store.url"),
        ("minimal", "store.url=file:///tmp/store", "store.url lies in the pod, and would be lost with it"),
        ("minimal", "store.fallbackUrl=file:///tmp/store", "store.fallbackUrl lies in the pod"),
        ("embedded-redis", "store.url=file:///tmp/store", "store.url lies in the pod"),
        ("minimal", "auth.jwt.jwksUrl=", "the keys of user tokens are missing: set auth.jwt.jwksUrl"),
        (
            "gke",
            "auth.jwt.secret.existingSecret.name=x",
            "user tokens have one source of keys: keep one of auth.jwt.jwksUrl, auth",
        ),
        ("everything", "auth.serviceTokens.existingSecret.name=x", "service tokens have one source"),
        ("gke", "gateway.parentRefs=null", "gateway.parentRefs is missing"),
        (
            "minimal",
            "gateway.enabled=true,gateway.parentRefs[0].name=external",
            "gateway.listenHosts and gateway.storageApiHosts are both missing",
        ),
        ("minimal", "ingress.enabled=true", "an Ingress needs a host"),
        (
            "minimal",
            "pusher.serviceAccount.name=audio,storageApi.serviceAccount.name=audio",
            "pusher and storageApi both create the service account audio",
        ),
        (
            "minimal",
            "listen.extraEnv[0].name=TAPEDECK_DRAIN_SECONDS,listen.extraEnv[0].value=x",
            "listen.extraEnv: TAPEDECK_DRAIN_SECONDS is a setting: give it under settings",
        ),
        (
            "minimal",
            "caBundle.existingSecret.name=ca,listen.extraEnv[0].name=SSL_CERT_FILE,listen.extraEnv[0].value=x",
            "listen.extraEnv: SSL_CERT_FILE is given by another value already",
        ),
        (
            "minimal",
            "store.env.AWS_REGION=x,pusher.extraEnv[0].name=AWS_REGION,pusher.extraEnv[0].value=x",
            "pusher.extraEnv: AWS_REGION is given by another value already",
        ),
        (
            "minimal",
            "pusher.autoscaling.keda.minReplicas=50",
            "pusher.autoscaling.keda: minReplicas is above maxReplicas",
        ),
        (
            "gke",
            "pusher.autoscaling.keda.enabled=true,pusher.autoscaling.keda.trigger=redisStreams",
            "pusher.autoscaling.keda.redisStreams.addresses is missing",
        ),
    ],
)
def test_what_is_missing_or_said_twice_is_told(name, option, text):
    said = template(name, "--set", option)
    assert said.returncode != 0
    assert text in said.stderr


def test_the_library_of_the_codec_may_be_named():
    """A variable of the process that is no setting."""
    said = template(
        "minimal", "--set=listen.extraEnv[0].name=TAPEDECK_LIBOPUS,listen.extraEnv[0].value=/opt/libopus.so"
    )
    assert said.returncode == 0, said.stderr


def test_no_page_upgrades_with_the_old_charts_defaults():
    """The schema is closed, and new values are required in it: they would be missing."""
    for page in (CHART / "UPGRADING.md", CHART / "templates" / "NOTES.txt"):
        commands = [line for line in page.read_text().splitlines() if line.strip().startswith("helm upgrade")]
        assert commands
        assert all("--reset-then-reuse-values" in line for line in commands), page


@pytest.mark.parametrize("release", ["1tapedeck", "my.tapedeck"])
def test_a_release_that_cannot_name_services_is_refused(release):
    said = helm("template", release, ".", "--values", ci_file("minimal"))
    assert said.returncode != 0
    assert f'"{release}" cannot name Services' in said.stderr


@pytest.mark.parametrize(
    ("option", "place"),
    [
        ("redis.url=http://redis", "/redis/url"),
        ("store.url=gcs://bucket", "/store/url"),
        ("auth.jwt.secret.value=short", "/auth/jwt/secret/value"),
        ("settings.batchSeconds=120", "/settings/batchSeconds"),
        ("podSecurity.runAsUser=0", "/podSecurity/runAsUser"),
        ("networkPolicy.monitoring=", "/networkPolicy/monitoring"),
        ("networkPolicy.clients[0]=null", "/networkPolicy/clients/0"),
        ("networkPolicy.extraEgress[0].ports[0].port=70000", "/networkPolicy/extraEgress/0/ports/0/port"),
        ("networkPolicy.monitoring=null", "missing property 'monitoring'"),
        ("listen.settings=null", "missing property 'settings'"),
        ("listen.replicas=null", "missing property 'replicas'"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(option, place):
    said = template("minimal", "--set", option)
    assert said.returncode != 0
    assert place in said.stderr


def test_a_number_with_a_fraction_is_given_as_json():
    """Helm makes whole numbers of what `--set` is given, and texts of all else; the README says so."""
    assert "/settings/redisHighWater" in template("minimal", "--set=settings.redisHighWater=0.6").stderr
    said = template("minimal", "--set-json=settings.redisHighWater=0.6")
    assert said.returncode == 0, said.stderr
    assert "--set-json settings.redisHighWater=0.6" in readme.page()


def test_the_readme_is_made_from_the_values():
    assert readme.PAGE.read_text() == readme.page(), "run tests/support/tapedeck_testing/chart/readme.py"


def test_a_value_without_a_comment_is_found():
    with pytest.raises(readme.UndocumentedError, match=r"image\.tag"):
        list(readme.rows("image:\n  # -- Where\n  registry: ''\n  tag: ''\n"))


def test_every_example_is_told_what_it_is_for():
    for name in CI_VALUES:
        assert Path(ci_file(name)).read_text().startswith("# "), name
