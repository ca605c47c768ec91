"""The chart's README.md, made from the comments in its values.yaml: `python tests/support/tapedeck_testing/chart/readme.py`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CHART = Path(__file__).parents[4] / "deploy" / "helm" / "tapedeck"
PAGE = CHART / "README.md"
MARK = "# -- "
INTRODUCTION = """\
# The chart of Tapedeck

Three components, each to be switched off alone: `listen` (WebSockets in, Redis out), `pusher` (Redis in, bucket out), `storageApi` (bucket and
live tail in, HTTP out). Redis and the bucket are yours: see [redis.md](../../../docs/redis.md) and [stores.md](../../../docs/stores.md).
Kubernetes 1.30 or newer, Helm 3.14 or newer.

Three values are enough, where the images come from the cluster's usual place (else `image.registry`):

```sh
helm install tapedeck deploy/helm/tapedeck --namespace tapedeck --create-namespace \\
  --set redis.url=redis://redis.data:6379 \\
  --set store.url=gs://my-audio \\
  --set auth.jwt.jwksUrl=https://issuer.example.com/.well-known/jwks.json
helm test tapedeck --namespace tapedeck --logs
```

To try it out with nothing but a cluster: `--values ci/embedded-redis-values.yaml`, and a secret of your own in `auth.jwt.secret.value`. More examples, each rendered and
validated by the tests, are in [ci/](ci); upgrades are in [UPGRADING.md](UPGRADING.md).

- A name that is not listed below fails the install (`values.schema.json` is closed), and so does one below `affinity`, `tolerations`, `extraEnv` or `networkPolicy` that Kubernetes does not know.
- Numbers with a fraction go into a file, or `--set-json settings.redisHighWater=0.6`: with `--set` Helm takes them for text, and the schema wants a number.
- Secrets given as values lie in a Secret of the chart's and in Helm's history; `existingSecret` keeps them out of both. Pods roll when the chart's Secret changes; after a
  change of yours, restart them, but for key ring and service tokens, which are read again by themselves.
- By an annotation pods tell whether the chart's Secret changed: scrypt of it, salted by release and namespace, for who reads pods may not read Secrets. A try at a password
  costs a tenth of a second that way, a plain hash's a millionth; of a long one nothing can be guessed, and with `existingSecret` there is nothing to guess from.
- Pods comply with the restricted pod security standard: no root, read-only root file system, no capabilities, no token.
- `/livez` never asks Redis or the bucket. The grace of a pod is `preStopSeconds` + `settings.drainSeconds` + 5 s.
- hpa and keda of a component exclude each other. The pusher is never scaled to 0.
- Network policies know ports, not places: narrow `clients` and `monitoring`, or switch them off and bring your own.
- Workload Identity: annotate `pusher.serviceAccount` and `storageApi.serviceAccount` (Azure: also their `podLabels`). listen needs no bucket.

This page is generated: `.venv/bin/python tests/support/tapedeck_testing/chart/readme.py`.

## Values

| value | default | meaning |
| --- | --- | --- |
"""


class Row(NamedTuple):
    """One value."""

    path: str
    default: Any
    meaning: str


class UndocumentedError(Exception):
    """A value that no comment explains."""


def rows(text: str) -> Iterator[Row]:
    """A row for each value that a comment explains; what lies below such a one belongs to it.

    Raises:
        UndocumentedError: a value has no comment, and is no mapping of values that have.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    yield from _below(root, "", text.splitlines())


def page() -> str:
    """The whole README."""
    table = [
        f"| `{row.path}` | `{json.dumps(row.default)}` | {row.meaning.replace('|', '&#124;')} |\n"
        for row in rows((CHART / "values.yaml").read_text())
    ]
    return INTRODUCTION + "".join(table)


def _below(mapping: yaml.MappingNode, above: str, lines: list[str]) -> Iterator[Row]:
    for key, value in mapping.value:
        path = f"{above}{key.value}"
        comment = lines[key.start_mark.line - 1].strip()
        if comment.startswith(MARK):
            yield Row(path, yaml.safe_load(yaml.serialize(value)), comment.removeprefix(MARK))
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _below(value, f"{path}.", lines)
        else:
            raise UndocumentedError(f"values.yaml: {path} has no comment that begins with {MARK!r}")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
