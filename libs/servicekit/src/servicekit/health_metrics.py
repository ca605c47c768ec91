"""What `/readyz` says, as gauges: so that alerts can tell a process that is not ready from one that is not there.

Owns the families. Which checks there are, and why one fails, is in `/readyz?verbose` and in the log.
"""

from servicekit.health import Health
from servicekit.metrics import Metrics


def show_health(health: Health, metrics: Metrics) -> None:
    """Adds the gauges to the process's metrics."""
    metrics.gauge(
        "ready", "1 where `/readyz` answers 200: of several processes, how many are ready"
    ).set_function(lambda: health.ready)
    metrics.gauge(
        "warnings", "Checks of `/readyz?verbose` that work, and not as they should: an operator must know"
    ).set_function(lambda: sum(check.state == "warning" for check in health.checks.values()))
