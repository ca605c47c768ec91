"""A folder that cannot be written is waited for: unmounted, read-only, full."""

import errno
import os

import pytest

from audiostore import folder as folders

CONVERSATIONS = 12


@pytest.mark.parametrize("kind", ["gone", "read-only", "full"])
async def test_a_folder_that_cannot_be_written_is_waited_for(
    *, kind, folder, tmp_path, serving, record, is_in, drained, packets_of, waiting, monkeypatch, caplog
):
    """Unmounted; or the file system answers EROFS or ENOSPC where data are written (a real disk of each kind: `test_folder` of audiostore)."""
    root, away = tmp_path / "store", tmp_path / "unmounted"
    broken = True
    if kind == "gone":
        root.rename(away)
    else:
        write, code = folders._write_all, errno.EROFS if kind == "read-only" else errno.ENOSPC

        def fails(descriptor, data):
            if broken:
                raise OSError(code, os.strerror(code))
            write(descriptor, data)

        monkeypatch.setattr(folders, "_write_all", fails)
    devices = await record(CONVERSATIONS)
    total = await waiting(devices)
    async with serving(folder) as health:
        await is_in("open" if kind == "full" else "paused")
        assert await waiting(devices) == total
        assert health.ready or kind != "full"
        broken = False
        if kind == "gone":
            assert not root.exists()
            away.rename(root)
        await is_in("closed")
        await drained(devices, "everything is stored")
    for device in devices:
        assert await packets_of(folder, device.conversation) == device.sent
    loud = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert bool(loud) == (kind != "full")
    assert not any("chunks/alice" in str(vars(record)) for record in caplog.records)
