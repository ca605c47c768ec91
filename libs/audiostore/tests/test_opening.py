import subprocess
import sys

import pytest

from audiostore import open_store
from audiostore.errors import StoreConfigurationError
from audiostore.file_store import FileStore
from audiostore.gcs_store import GcsStore
from audiostore.memory_store import MemoryStore


async def test_each_address_opens_its_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    for url, kind in {
        "memory:": MemoryStore,
        f"file://{tmp_path}/a%20b": FileStore,
        "file://./relative/store": FileStore,
        "gs://a-bucket": GcsStore,
        "gs://a-bucket/with/prefix/": GcsStore,
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
        "s3://bucket",
        "az://container",
        "http://user:secret@host/",
    ],
)
def test_other_addresses_say_what_to_write(url):
    with pytest.raises(StoreConfigurationError) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)
    assert "gs://bucket" in str(caught.value) or "file:///folder" in str(caught.value)


def test_googles_library_is_imported_only_for_gs():
    code = (
        "import sys, audiostore, audiostore.batch, audiostore.names\n"
        "audiostore.open_store('memory:')\n"
        "assert not [name for name in sys.modules if name.startswith('google.cloud') or name == 'requests']\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
