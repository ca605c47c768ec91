"""What the chart does with secrets: one of the operator's stays where it is, and no annotation tells of one."""

import hashlib
from typing import Any

import yaml

from tapedeck_testing.chart.kinds import VERSIONS, mistakes
from tapedeck_testing.chart.rendering import Manifest, component, rendered

HELD = ("--set=redis.embedded.password=", "--set=redis.embedded.existingSecret.name=mine")


def _templates(*options: str) -> dict[str, dict[str, Any]]:
    return {
        component(one): one["spec"]["template"]
        for one in rendered("embedded-redis", *options)
        if one["kind"] in ("Deployment", "StatefulSet")
    }


def _one(documents: tuple[Manifest, ...], kind: str) -> Manifest:
    (found,) = [one for one in documents if one["kind"] == kind]
    return found


def test_the_embedded_redis_takes_its_password_from_a_secret_of_the_operators():
    template = _templates(*HELD)["redis"]
    assert "annotations" not in template["metadata"]
    assert {"key": "password", "path": "password"} in [
        item for volume in template["spec"]["volumes"] for item in volume.get("secret", {}).get("items", ())
    ]
    assert "--protected-mode" not in template["spec"]["containers"][0]["args"]


def test_so_do_the_services_and_keda():
    keda = ("pusher.autoscaling.keda.enabled=true", "pusher.autoscaling.keda.trigger=redisStreams")
    documents = rendered("embedded-redis", *HELD, *(f"--set={one}" for one in keda))
    assert set(_one(documents, "Secret")["stringData"]) == {"jwt-secret"}
    templates = _templates(*HELD)
    for name in ("listen", "pusher", "storage-api"):
        env = {one["name"]: one for one in templates[name]["spec"]["containers"][0]["env"]}
        assert env["EMBEDDED_REDIS_PASSWORD"]["valueFrom"] == {
            "secretKeyRef": {"name": "mine", "key": "password"}
        }
        assert env["TAPEDECK_REDIS_URL"]["value"] == "redis://:$(EMBEDDED_REDIS_PASSWORD)@tapedeck-redis:6379"
        # Only what stands before is put in.
        assert list(env).index("EMBEDDED_REDIS_PASSWORD") < list(env).index("TAPEDECK_REDIS_URL")
    assert _one(documents, "TriggerAuthentication")["spec"]["secretTargetRef"] == [
        {"parameter": "password", "name": "mine", "key": "password"}
    ]
    for version in VERSIONS:
        assert [mistake for one in documents for mistake in mistakes(one, version)] == []


def test_no_annotation_is_a_plain_hash_of_a_secret():
    """Who reads pods could try passwords as fast as they can be hashed, or look them up."""
    held = _one(rendered("embedded-redis"), "Secret")["stringData"]
    texts = [*held.values(), held["redis-password.conf"].split()[1]]
    texts += [
        yaml.safe_dump({key: held[key] for key in keys})
        for keys in (["redis-url"], ["jwt-secret", "redis-url"])
    ]
    plain = {hashlib.sha256(text.strip().encode()).hexdigest() for text in texts}
    here, again, elsewhere = (
        {name: template["metadata"]["annotations"] for name, template in _templates(*options).items()}
        for options in ((), ("--description=again",), ("--namespace=another",))
    )
    assert not {value for each in here.values() for value in each.values()} & plain
    # The same whenever it is rendered, or all pods would roll; another in each release.
    assert here == again
    assert all(here[name] != elsewhere[name] for name in here)
