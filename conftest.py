"""Fixtures that the tests of every package may ask for."""

pytest_plugins = ["tapedeck_testing.programs", "tapedeck_testing.redis_fixtures"]
