from servicekit.health import Health
from servicekit.health_metrics import show_health
from servicekit.metrics import Metrics


def test_what_readyz_says_is_shown():
    health, metrics = Health("redis", "store"), Metrics("listen", "1")
    show_health(health, metrics)

    def shown() -> tuple[bool, bool, bool]:
        text = metrics.render().decode()
        return (
            "\ntapedeck_ready 1.0" in text,
            "\ntapedeck_warnings 0.0" in text,
            "\ntapedeck_warnings 1.0" in text,
        )

    assert shown() == (False, True, False)
    health.ok("redis")
    health.warn("store", "slow")
    assert shown() == (True, False, True)
    health.drain()
    assert shown() == (False, False, True)
