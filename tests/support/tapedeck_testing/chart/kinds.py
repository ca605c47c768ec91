"""What a rendered object must look like: Kubernetes' own kinds by the schemas of a version, strictly; others by those in `tests/deploy/custom_kinds`.

The schemas of Kubernetes come from the wheel kubernetes-validate, whose own check reads them anew for every object.
"""

import functools
import importlib.resources
import json
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tapedeck_testing.chart.rendering import Manifest

VERSIONS = ("1.30", "1.37")
"""The oldest that Chart.yaml allows, and the newest that there are schemas of."""
CUSTOM_KINDS = Path(__file__).parents[3] / "deploy" / "custom_kinds"
_DEFINITIONS = "/api/_definitions.json"


def mistakes(manifest: Manifest, version: str) -> list[str]:
    """What is wrong with an object, for this version of Kubernetes: a line for each mistake, with its place."""
    kind, api_version = manifest["kind"], manifest["apiVersion"]
    found = [
        f"{kind}/{manifest['metadata']['name']} {error.json_path}: {error.message[:200]}"
        for error in _validator(kind, api_version, version).iter_errors(manifest)
    ]
    if _custom(kind, api_version).exists():
        found += [
            f"{kind}/{manifest['metadata']['name']} metadata{error.json_path[1:]}: {error.message[:200]}"
            for error in _metadata(version).iter_errors(manifest["metadata"])
        ]
    return found


def _custom(kind: str, api_version: str) -> Path:
    return CUSTOM_KINDS / f"{kind}.{api_version.replace('/', '.')}.yaml"


@functools.cache
def _validator(kind: str, api_version: str, version: str) -> Draft202012Validator:
    ours = _custom(kind, api_version)
    if ours.exists():
        return Draft202012Validator(yaml.safe_load(ours.read_text()))
    group, _, plain = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], plain) if part)
    return Draft202012Validator(_schema(version, f"{name}.json"), registry=_registry(version))


@functools.cache
def _metadata(version: str) -> Draft202012Validator:
    reference = f"{_DEFINITIONS}#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    return Draft202012Validator({"$ref": reference}, registry=_registry(version))


@functools.cache
def _registry(version: str) -> "Registry[Any]":
    definitions = Resource.from_contents(
        _schema(version, "_definitions.json"), default_specification=DRAFT202012
    )
    registry: Registry[Any] = Registry().with_resource(_DEFINITIONS, definitions)
    return registry


def _schema(version: str, name: str) -> Any:
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    return json.loads((folder / f"v{version}.0-local-strict" / name).read_text())
