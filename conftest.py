"""Fixtures that the tests of every package may ask for, and how long examples may take: as long as the machine lets them."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "any machine", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

pytest_plugins = ["tapedeck_testing.programs", "tapedeck_testing.redis_fixtures"]
