"""A stack that cannot start says why, and leaves nothing behind."""

from dataclasses import replace
from pathlib import Path

import pytest

from tapedeck.errors import UpError
from tapedeck.up.child import GIVEN_UP_AFTER
from tapedeck.up.stack import run_stack


def silent(_line):
    pass


async def nothing(_ready, _asked):
    return 0


async def test_settings_that_are_wrong_end_it_at_once_with_what_the_service_said(options, environ):
    async def body(_ready, _asked):
        return 0

    logs = options.data_dir / "logs"
    logs.mkdir(parents=True)
    for name in ("listen-1", "pusher-1", "storage-api"):
        (logs / f"{name}.log").write_text("what a former run said\n")
    said = []
    with pytest.raises(UpError, match=r"can't start:\nTAPEDECK_CHUNK_MS: must be a number$"):
        await run_stack(options, {**environ, "STAND_IN_WRONG_SETTINGS": "1"}, said.append, body)
    assert said == []
    assert not options.ready_path.exists()
    # The first that says it ends all; none was started twice.
    former, mistake = "what a former run said\n", "TAPEDECK_CHUNK_MS: must be a number\n"
    logged = [(logs / f"{name}.log").read_text() for name in ("listen-1", "pusher-1", "storage-api")]
    assert former + mistake in logged
    assert set(logged) <= {former, former + mistake}


async def test_wrong_settings_of_any_service_are_seen_while_another_is_waited_for(options, environ):
    async def body(_ready, _asked):
        return 0

    mixed = {
        **environ,
        "STAND_IN_WRONG_SETTINGS": "TAPEDECK_STORAGE_BIND",
        "STAND_IN_MUTE": "TAPEDECK_LISTEN_BIND",
    }
    with pytest.raises(UpError, match="storage-api can't start"):
        await run_stack(options, mixed, silent, body)


async def test_a_service_that_never_works_is_given_up_with_what_it_said(options, environ):
    said = []
    failing = {**environ, "STAND_IN_BROKEN": "TAPEDECK_LISTEN_BIND"}
    with pytest.raises(
        UpError, match=r"listen-1 can't start:\nthe process failed: Error: no libopus$"
    ) as caught:
        await run_stack(options, failing, said.append, None)
    assert str(options.data_dir / "logs" / "listen-1.log") in caught.value.hint
    told = [line for line in said if line.startswith("listen-1 ended")]
    assert len(told) == GIVEN_UP_AFTER - 1
    assert "exit code 1: the process failed: Error: no libopus; starting it again now" in told[0]


async def test_a_redis_that_cannot_start_says_why(options, environ):
    (options.data_dir / "redis" / "appendonlydir").mkdir(parents=True)
    (options.data_dir / "redis" / "appendonlydir" / "appendonly.aof.manifest").write_text("no manifest\n")
    with pytest.raises(UpError, match="redis can't start"):
        await run_stack(options, environ, silent, None)


@pytest.mark.parametrize("below", ["", "further"])
async def test_a_data_directory_that_cannot_be_made_says_so(options, tmp_path, environ, below):
    (tmp_path / "file").write_text("x")
    options = replace(options, data_dir=tmp_path / "file" / below)
    with pytest.raises(UpError, match=r"the data directory .*/file.* cannot be used") as caught:
        await run_stack(options, environ, silent, None)
    assert "--data-dir" in caught.value.hint


@pytest.mark.parametrize("place", ["/proc/r.json", "/etc/hostname/r.json", "folder"])
async def test_a_ready_file_that_cannot_be_written_is_told_before_anything_runs(
    options, tmp_path, environ, place
):
    (tmp_path / "folder").mkdir()
    unwritable = replace(options, ready_file=tmp_path / place)
    with pytest.raises(UpError, match=r"the ready file .* cannot be written") as caught:
        await run_stack(unwritable, environ, silent, None)
    assert "--ready-file" in caught.value.hint
    assert not (Path(environ["STAND_IN_NOTES"]) / "events").exists()
    assert [one.name for one in tmp_path.iterdir() if "tmp" in one.name] == []
    # Nobody holds what it had: it can be started again.
    assert await run_stack(options, environ, silent, nothing) == 0
