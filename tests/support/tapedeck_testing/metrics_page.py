"""docs/metrics.md, made from the services' own families: `python tests/support/tapedeck_testing/metrics_page.py`.

Owns the page's words, and which families there are: other tests hold dashboards and alerts against them.
"""

from collections.abc import Mapping
from functools import cache
from itertools import chain, product
from pathlib import Path
from typing import Final

from prometheus_client import Metric

from listen.metrics import ListenMetrics
from pusher.metrics import PusherMetrics
from servicekit.health import Health
from servicekit.health_metrics import show_health
from servicekit.jwks_metrics import JwksMetrics
from servicekit.metrics import Metrics
from storage_api.metrics import StorageMetrics
from storage_api.routes import TABLE

PAGE: Final = Path(__file__).parents[3] / "docs" / "metrics.md"
SHOWN_VALUES: Final = 24
INTRODUCTION: Final = """\
# Metrics

Each process shows its metrics at `/metrics` of its admin address (`TAPEDECK_ADMIN_BIND`), in Prometheus' text format. All names begin with `tapedeck_` or `process_`, units are
seconds and bytes, no label holds a user, a conversation or an object, and every label value is there from the start, at 0. Histograms have `_bucket`, `_sum` and `_count`.

The two to look at first: `tapedeck_oldest_unstored_age_seconds` tells the truth about storing (alert on its largest value), and
`received = stored + waiting + dead + deleted` of `tapedeck_audio_balance_seconds` that nothing is missing ([conservation.md](conservation.md)).

- **Shown by one pusher** means: of all pushers one at a time counts for all, the others show 0. `max()` and `sum()` over them are both right, and
  `max()` passes `NaN` over, which says that nobody can tell.
- **Several processes** of one component under `tapedeck up` have one admin address that adds theirs up (the largest of what ends in `_age_seconds`, `_lag_seconds`, `_ratio` and the like).
  Where one does not answer there is no sum: the address answers 503, and Prometheus notes a gap, not a counter that goes down and up again.
- **What `tapedeck dead drop` deletes** no process counts in `tapedeck_audio_deleted_seconds_total`, for the command is none of them; `tapedeck_audio_balance_seconds{part="deleted"}` has it.
- Dashboard: `deploy/helm/tapedeck/files/dashboard.json`. Alerts: `deploy/helm/tapedeck/files/alerts.yaml`, each with a section in the [runbook](runbook.md). Logs and traces: [traces.md](traces.md).

This page is generated: `.venv/bin/python tests/support/tapedeck_testing/metrics_page.py`.
"""


def families() -> Mapping[str, list[Metric]]:
    """By service: what a process of it shows, as it starts. Those that all show are under `all`, too."""
    common, listen, storage = Metrics("x", "1"), Metrics("listen", "1"), Metrics("storage-api", "1")
    pusher = PusherMetrics().process
    ListenMetrics(listen)
    JwksMetrics(listen)
    StorageMetrics(storage, TABLE)
    JwksMetrics(storage)
    for metrics in (common, listen, pusher, storage):
        show_health(Health(), metrics)
    made = {"all": common, "listen": listen, "pusher": pusher, "storage-api": storage}
    return {service: list(metrics.registry.collect()) for service, metrics in made.items()}


def shown_name(family: Metric) -> str:
    """As queries have it, without what histograms append."""
    return f"{family.name}_total" if family.type == "counter" else family.name


@cache
def known_labels() -> dict[str, dict[str, set[str]]]:
    """Every name that a query may use, with the labels that it has and their values."""
    known: dict[str, dict[str, set[str]]] = {}
    for family in chain.from_iterable(families().values()):
        names = [shown_name(family)]
        if family.type == "histogram":
            names += [f"{family.name}_{part}" for part in ("bucket", "sum", "count")]
        for name, sample in product(names, family.samples):
            labels = known.setdefault(name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return known


def metrics_page() -> str:
    """The whole page."""
    by_service = families()
    common = {family.name for family in by_service["all"]}
    parts = [INTRODUCTION]
    for service, of_service in by_service.items():
        title = "Every service" if service == "all" else service
        parts.append(f"\n## {title}\n\n| metric | type | what |\n| --- | --- | --- |\n")
        wanted = [family for family in of_service if service == "all" or family.name not in common]
        parts += [_row(family) for family in sorted(wanted, key=lambda family: family.name)]
    return "".join(parts)


def _row(family: Metric) -> str:
    values: dict[str, list[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label not in {"le", "service", "version"} and value not in values.setdefault(label, []):
                values[label].append(value)
    told = [
        f"`{label}`: {', '.join(f'`{one}`' for one in of_label) if len(of_label) <= SHOWN_VALUES else f'{len(of_label)} values'}"
        for label, of_label in values.items()
    ]
    what = family.documentation.rstrip(".") + "".join(f"; {one}" for one in told)
    return f"| `{shown_name(family)}` | {family.type} | {what.replace('|', '/')} |\n"


if __name__ == "__main__":
    PAGE.write_text(metrics_page(), encoding="utf-8")
