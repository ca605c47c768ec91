import subprocess
import sys

import pytest

from audiostore import open_store
from audiostore.az_store import AzStore
from audiostore.errors import StoreConfigurationError
from audiostore.file_store import FileStore
from audiostore.gcs_store import GcsStore
from audiostore.memory_store import MemoryStore
from audiostore.opening import wrong_addresses
from audiostore.s3_store import S3Store


async def test_each_address_opens_its_store(tmp_path, no_settings, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    for url, kind in {
        "memory:": MemoryStore,
        f"file://{tmp_path}/a%20b": FileStore,
        "file://./relative/store": FileStore,
        "gs://a-bucket": GcsStore,
        "gs://a-bucket/with/prefix/": GcsStore,
        "s3://a-bucket": S3Store,
        "s3://a-bucket/with/prefix/": S3Store,
        "az://a-container/prefix": AzStore,
    }.items():
        store = open_store(url)
        assert isinstance(store, kind)
        await store.close()
    assert (tmp_path / "a b").is_dir()
    assert (tmp_path / "relative/store").is_dir()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "memory:x",
        "/just/a/path",
        "file:/one/slash",
        "file://host/path",
        "file://data",
        "file://",
        "file:///a%00b",
        "gs://",
        "gs:bucket",
        "gs://UPPER",
        "gs://bucket/a/../b",
        "s3://",
        "s3:bucket",
        "az://UPPER",
        "az://container/a//b",
        "s3://key:secret@bucket/x",
        "http://user:secret@host/",
    ],
)
def test_other_addresses_say_what_to_write(url):
    with pytest.raises(StoreConfigurationError) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)
    assert (
        "://bucket" in str(caught.value)
        or "file:///folder" in str(caught.value)
        or "between slashes" in str(caught.value)
    )


def test_wrong_addresses_are_told_with_their_setting(tmp_path):
    """None of them is opened: no folder is made, and no bucket asked."""
    right = {
        "A": f"file://{tmp_path}/a",
        "B": "gs://bucket/prefix",
        "C": None,
        "D": "memory:",
        "E": "az://box",
    }
    assert list(wrong_addresses(right)) == []
    assert not (tmp_path / "a").exists()
    one, other = wrong_addresses({**right, "F": "s3://UPPER", "G": "file://data"})
    assert one.startswith("F: store address s3://UPPER: write s3://bucket")
    assert other.startswith("G: store address file://data: write file:///folder")


def test_libraries_of_clouds_are_imported_only_for_their_stores():
    code = (
        "import sys, audiostore, audiostore.batch, audiostore.names\n"
        "audiostore.open_store('memory:')\n"
        "heavy = ('google.cloud', 'requests', 'obstore')\n"
        "assert not [name for name in sys.modules if name.startswith(heavy)]\n"
        "audiostore.open_store('s3://a-bucket')\n"
        "assert 'obstore' in sys.modules and 'google.cloud' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
