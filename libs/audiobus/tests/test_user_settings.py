"""What is set for a user: as it holds, whatever lies there, and changed in one step."""

import pytest

from audiobus.user_settings import (
    KEY,
    MAX_LIMIT_MS,
    UserSettings,
    change_user_settings,
    read_user_settings,
)


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({}, UserSettings()),
        ({b"protection": b"standard"}, UserSettings()),
        ({b"protection": b"enhanced"}, UserSettings("enhanced")),
        ({b"protection": b"secret"}, UserSettings("enhanced", defects=("protection",))),
        ({b"protection": b""}, UserSettings("enhanced", defects=("protection",))),
        ({b"protection": b"\xff"}, UserSettings("enhanced", defects=("protection",))),
        ({b"store_audio": b"0"}, UserSettings(store_audio=False)),
        ({b"store_audio": b"False"}, UserSettings(store_audio=False)),
        ({b"store_audio": b"1"}, UserSettings()),
        ({b"store_audio": b""}, UserSettings()),
        ({b"store_audio": b"no"}, UserSettings(defects=("store_audio",))),
        ({b"store_audio": b"\xfe"}, UserSettings(defects=("store_audio",))),
        ({b"daily_limit_ms": b"0"}, UserSettings(daily_limit_ms=0)),
        ({b"daily_limit_ms": b"3600000"}, UserSettings(daily_limit_ms=3_600_000)),
        ({b"daily_limit_ms": str(MAX_LIMIT_MS).encode()}, UserSettings(daily_limit_ms=MAX_LIMIT_MS)),
        ({b"daily_limit_ms": b""}, UserSettings()),
        ({b"daily_limit_ms": b"1.5"}, UserSettings(defects=("daily_limit_ms",))),
        ({b"daily_limit_ms": b"-1"}, UserSettings(defects=("daily_limit_ms",))),
        ({b"daily_limit_ms": b"9" * 5_000}, UserSettings(defects=("daily_limit_ms",))),
        ({b"daily_limit_ms": "٣".encode()}, UserSettings(defects=("daily_limit_ms",))),
        ({b"somebody's": b"else"}, UserSettings()),
    ],
    ids=repr,
)
def test_what_a_field_stands_for(fields, settings):
    assert UserSettings.read(fields.items()) == settings


async def test_what_is_changed_and_what_stays(bus):
    assert await read_user_settings(bus, "u") == UserSettings()
    assert await change_user_settings(bus, "u", {}) == UserSettings()
    assert not await bus.command("EXISTS", bus.keys.user("u"))
    first = UserSettings("enhanced", store_audio=False)
    assert await change_user_settings(bus, "u", {"protection": "enhanced", "store_audio": False}) == first
    both = UserSettings("enhanced", store_audio=False, daily_limit_ms=9)
    assert await change_user_settings(bus, "u", {"daily_limit_ms": 9}) == both
    assert await read_user_settings(bus, "u") == both
    assert await bus.user_settings("u") == {
        "protection": "enhanced",
        "store_audio": "0",
        "daily_limit_ms": "9",
    }
    assert (await change_user_settings(bus, "u", {"store_audio": True})).store_audio
    assert (await change_user_settings(bus, "u", {"daily_limit_ms": None})).daily_limit_ms is None
    assert await bus.user_settings("u") == {"protection": "enhanced", "store_audio": "1"}
    assert await read_user_settings(bus, "another") == UserSettings()


async def test_a_key_that_is_no_hash_counts_as_unset_and_gives_way(bus):
    await bus.command("SET", bus.keys.user("u"), "what?")
    assert await read_user_settings(bus, "u") == UserSettings(defects=(KEY,))
    assert (await change_user_settings(bus, "u", {"daily_limit_ms": 5})) == UserSettings(daily_limit_ms=5)
    assert await read_user_settings(bus, "u") == UserSettings(daily_limit_ms=5)
