"""The chart as helm renders it: once for each file of `ci/`, and anew for values of a test's own."""

import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from tapedeck_testing.bucket_servers import TOOLS, missing

CHART = Path(__file__).parents[4] / "deploy" / "helm" / "tapedeck"
CI_VALUES = tuple(sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*.yaml")))
RELEASE, NAMESPACE = "tapedeck", "audio"
HELM_S = 60

Manifest: TypeAlias = dict[str, Any]


def helm(*arguments: str, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    """Runs helm; skips the test where it cannot be had, and fails it where `CI=true`."""
    found = shutil.which("helm", path=TOOLS / "bin") or shutil.which("helm")
    if found is None:
        # Not built here: that takes minutes, longer than a test may.
        missing("no helm in .tools or on PATH (make tools, with Go)")
        raise AssertionError("missing() has ended the test")
    return subprocess.run(
        [found, *arguments], capture_output=True, text=True, timeout=HELM_S, check=False, cwd=chart
    )


def ci_file(name: str) -> str:
    """The path of one of the values' files, by what `CI_VALUES` calls it."""
    return str(CHART / "ci" / f"{name}-values.yaml")


def template(name: str, *options: str, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    """`helm template` with the values of a file and further options."""
    values = ci_file(name)
    return helm("template", RELEASE, ".", "--namespace", NAMESPACE, "--values", values, *options, chart=chart)


@functools.cache
def rendered(name: str, *options: str, chart: Path = CHART) -> tuple[Manifest, ...]:
    """All that a file of values makes of the chart (or of a copy). Nobody may change it: it is rendered once."""
    said = template(name, *options, chart=chart)
    assert said.returncode == 0, said.stderr
    return tuple(document for document in yaml.safe_load_all(said.stdout) if document)


def of_kind(name: str, *kinds: str, options: tuple[str, ...] = ()) -> list[Manifest]:
    """Those of the rendered objects that are of these kinds."""
    return [one for one in rendered(name, *options) if one["kind"] in kinds]


def one_of(name: str, kind: str, called: str) -> Manifest:
    """The one of this kind and name."""
    (found,) = [one for one in of_kind(name, kind) if one["metadata"]["name"] == called]
    return found


def pods(name: str, *options: str) -> Iterator[tuple[str, Manifest]]:
    """Every pod that comes of it, by the name of what makes it: `metadata` and `spec`."""
    for one in of_kind(name, "Pod", "Deployment", "StatefulSet", options=options):
        yield one["metadata"]["name"], one if one["kind"] == "Pod" else one["spec"]["template"]


def containers(name: str) -> Iterator[tuple[str, Manifest]]:
    """Every container of these pods, by the pod's name."""
    for called, pod in pods(name):
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
            yield called, container


def component(manifest: Manifest) -> str:
    """`listen`, `pusher`, `storage-api`, `redis` or `test`; empty where it is nobody's own."""
    labels: dict[str, str] = manifest["metadata"].get("labels", {})
    return labels.get("app.kubernetes.io/component", "")
