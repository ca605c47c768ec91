"""What opens sealed objects: the ring of master keys, and the secret that older objects were sealed with.

Owns the way from settings to both. It hands them to whoever opens, and nothing to logs: its repr shows no secret.
"""

import asyncio
from dataclasses import dataclass, field

from audiostore.errors import KeyRingError
from audiostore.key_ring import KeyRing, KeySource
from servicekit.errors import KeySourceError
from servicekit.groups import EncryptionSettings


@dataclass(frozen=True, slots=True)
class Keys:
    """Asked anew for each object: a keys file may have changed."""

    source: KeySource = field(default_factory=KeySource)
    legacy_secret: str = field(default="", repr=False)
    """Empty where there is none: then sealed objects of the older formats cannot be read."""

    @classmethod
    def of(cls, settings: EncryptionSettings) -> "Keys":
        """The keys that the settings name. KeySourceError where they are none any more: the settings were checked."""
        try:
            source = KeySource(settings.keys_text, settings.keys_file)
        except KeyRingError as error:
            raise KeySourceError(f"{settings.keys_variable}: {error}") from error
        return cls(source, settings.legacy_secret.reveal() if settings.legacy_secret else "")

    async def complaints(self) -> list[str]:
        """What an operator must hear about the keys; nothing where all is well."""
        await asyncio.to_thread(self.source.ring)  # it may read the file
        return [f"the keys stay as they were: {self.source.complaint}"] if self.source.complaint else []

    @property
    def version(self) -> int:
        """Another number each time the ring in force holds other keys, be it under the same ids. Looks at a file as `ring` does."""
        self.source.ring()
        return self.source.version

    @property
    def ring(self) -> KeyRing:
        """The ring in force. Looks at a file, once a second at most."""
        return self.source.ring()
