"""The kinds of operations that this build carries out, by name."""

from storage_api.deletion import user_audio
from storage_api.operations.turn import Kind
from storage_api.services import Services


def kinds_of(services: Services) -> dict[str, Kind]:
    """The kinds over these services."""
    return {user_audio.KIND: user_audio.UserAudio(services)}
