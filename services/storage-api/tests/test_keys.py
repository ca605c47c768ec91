"""Where keys come from, and that nothing shows them."""

import base64

import pytest

from audiostore.key_ring import KeySource
from servicekit.errors import KeySourceError
from servicekit.groups import EncryptionSettings
from servicekit.secret import Secret
from storage_api.keys import Keys

RING = f"k1:{base64.b64encode(bytes(range(32))).decode()}"


def test_nothing_is_an_empty_ring_and_no_secret():
    keys = Keys.of(EncryptionSettings())
    assert keys.ring.ids == ()
    assert keys.legacy_secret == ""


def test_keys_come_from_a_text_or_a_file(tmp_path):
    path = tmp_path / "keys"
    path.write_text(RING)
    for settings in (EncryptionSettings(keys=Secret(RING)), EncryptionSettings(keys_file=path)):
        assert Keys.of(settings).ring.ids == ("k1",)


def test_no_secret_is_shown():
    keys = Keys.of(EncryptionSettings(keys=Secret(RING), legacy_secret=Secret("an older secret")))
    assert keys.legacy_secret == "an older secret"
    assert "older secret" not in repr(keys)
    assert RING[3:] not in repr(keys)


def test_a_file_that_is_no_ring_any_more_is_refused(tmp_path):
    path = tmp_path / "keys"
    path.write_text("no ring")
    with pytest.raises(KeySourceError, match="TAPEDECK_ENCRYPTION_KEYS_FILE: "):
        Keys.of(EncryptionSettings(keys_file=path))


async def test_a_keys_file_that_cannot_be_used_any_more_is_told(tmp_path):
    path, now = tmp_path / "keys", 0.0
    path.write_text(RING)
    keys = Keys(KeySource(path=path, clock=lambda: now))
    assert await keys.complaints() == []
    path.write_text("no ring")
    now = 10.0
    (complaint,) = await keys.complaints()
    assert complaint.startswith("the keys stay as they were: ")
    assert keys.ring.ids == ("k1",)
