"""What goes over the wire as JSON about users, as types (storage-api.md)."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from audiobus.user_settings import MAX_LIMIT_MS
from storage_api.wire import Protection


class UserSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a user."""

    protection: Protection
    """How new audio is stored: `enhanced` is sealed."""
    store_audio: bool
    """Whether anything may be recorded."""
    daily_limit_ms: int
    """Of audio a UTC day: the user's own, else what holds for everybody. 0 is no limit."""


class UserSettingsChange(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What of it shall be another; what is not there stays."""

    protection: Protection | UnsetType = UNSET
    store_audio: bool | UnsetType = UNSET
    daily_limit_ms: Annotated[int, Meta(ge=0, le=MAX_LIMIT_MS)] | UnsetType | None = UNSET
    """Null takes the user's own away: what holds for everybody holds for them again."""


class DayOfUsage(msgspec.Struct, frozen=True, kw_only=True):
    """One UTC day."""

    day: str
    """YYYY-MM-DD."""
    ms: int | None
    """Audio that came on this day, up to a minute ago; null where it is not known any more: it is kept for two days."""
    stored_ms: int | None
    """Only where `ms` is not known: how much time of this day the user's objects take up by their names, gaps inside them included."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """How much audio a user sent."""

    days: list[DayOfUsage]
    """Each day that was asked for, in order."""
    daily_limit_ms: int
    """Of today; 0 is no limit."""
