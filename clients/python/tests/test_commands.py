"""The command as people run it: a process, its output and its exit code."""

import asyncio
import json
import os
import sys
import time
import wave

import jwt
import pytest

from tapedeck import ready_file
from tapedeck.ready_file import Admin, Pids, Ready

SECRET = "s" * 48
AUDIO = os.urandom(100_000)
BASE = "/v1/users/anna/conversations"


@pytest.fixture
def tapedeck(tmp_path, listen_stand_in, storage_stand_in):
    ready = Ready(
        listen=listen_stand_in.url,
        storage_api=storage_stand_in.url,
        redis="redis://r",
        store="file:///x",
        console="c",
        service_token="service",
        jwt_secret=SECRET,
        pids=Pids(),
        admin=Admin("a", "b", "c"),
    )
    ready_file.write(tmp_path / "data" / "ready.json", ready)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TAPEDECK_")}

    async def run(*arguments, stdin=b"", **extra):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tapedeck", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=tmp_path,
            env={**environ, **extra},
        )
        out, err = await process.communicate(stdin)
        return process.returncode, out, err.decode()

    return run


async def test_help_lists_what_is_built(tapedeck):
    code, out, _ = await tapedeck("--help")
    assert code == 0
    text = out.decode()
    reading = ("ls", "get", "rm", "cut", "merge", "usage", "settings")
    for name in ("up", "send", *reading, "token", "buffers", "dead", "where", "keys", "doctor"):
        assert f" {name} " in text
    assert " demo " not in text


async def test_send_files_into_one_conversation_one_after_another(tapedeck, listen_stand_in, tmp_path):
    for name, seconds in (("a.wav", 1), ("b.wav", 2)):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(bytes(32000 * seconds))
    code, out, err = await tapedeck(
        "send", "a.wav", "b.wav", "--conversation", "c", "--user", "anna", "--json"
    )
    assert code == 0, err
    answer = json.loads(out)
    assert answer["user"] == "anna"
    assert [r["acked_bytes"] for r in answer["recordings"]] == [32000, 64000]
    assert {s.conversation_id for s in listen_stand_in.sessions.values()} == {"c"}
    first, second = (s.marks[0][1] for s in listen_stand_in.sessions.values())
    assert second - first == 1000
    token = listen_stand_in.tokens[0].removeprefix("Bearer ")
    assert jwt.decode(token, SECRET, algorithms=["HS256"])["sub"] == "anna"


async def test_send_raw_pcm_from_standard_input_and_a_table(tapedeck, listen_stand_in):
    code, out, err = await tapedeck("send", "-", "--sample-rate", "8000", stdin=AUDIO)
    assert (code, err) == (0, "")
    assert listen_stand_in.total() == AUDIO
    assert listen_stand_in.queries[0]["sample_rate"] == "8000"
    assert out.decode().split()[:6] == ["file", "conversation", "seconds", "sent", "acked", "stored"]


async def test_send_takes_the_channels_and_the_rate_that_a_file_has(tapedeck, listen_stand_in, tmp_path):
    with wave.open(str(tmp_path / "s.wav"), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(AUDIO)
    code, out, err = await tapedeck("send", "s.wav", "--codec", "aac", "--json")
    assert code == 0, err
    (recording,) = json.loads(out)["recordings"]
    assert (recording["codec"], recording["sample_rate"], recording["channels"]) == ("aac", 44100, 2)
    code, _, err = await tapedeck("send", "s.wav", "--channels", "1")
    assert code == 0, err
    asked = [(q["codec"], q["sample_rate"], q["channels"]) for q in listen_stand_in.queries]
    assert asked == [("aac", "44100", "2"), ("pcm16", "44100", "1")]


async def test_send_raw_pcm_of_two_channels(tapedeck, listen_stand_in):
    code, _, err = await tapedeck("send", "-", "--channels", "2", stdin=AUDIO)
    assert (code, err) == (0, "")
    (session,) = listen_stand_in.sessions.values()
    assert session.channel(1)[:6] == AUDIO[0:2] + AUDIO[4:6] + AUDIO[8:10]
    assert len(session.channel(1)) == len(session.channel(2)) == len(AUDIO) // 2


async def test_send_makes_no_two_channels_of_one(tapedeck, tmp_path):
    with wave.open(str(tmp_path / "m.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(AUDIO)
    code, _, err = await tapedeck("send", "m.wav", "--channels", "2")
    assert code == 1
    assert "one channel, not two" in err
    assert "Traceback" not in err


async def test_send_says_at_once_that_nobody_is_there_and_gives_up(tapedeck, unused_tcp_port):
    began = time.monotonic()
    url = f"ws://127.0.0.1:{unused_tcp_port}"
    code, _, err = await tapedeck("send", "-", "--url", url, stdin=AUDIO)
    assert code == 1
    assert 9 < time.monotonic() - began < 60
    first, *rest = err.splitlines()
    assert first.startswith(f"tapedeck: cannot connect to {url} (")
    assert first.endswith("; trying again")
    assert "trying again" not in "".join(rest)
    assert "`tapedeck up`" in err
    assert "Traceback" not in err


async def test_send_says_when_it_is_connected_again(tapedeck, listen_stand_in):
    listen_stand_in.refusals = [(503, {"Retry-After": "0"})] * 3
    code, _, err = await tapedeck("send", "-", stdin=AUDIO)
    assert code == 0
    assert err.splitlines() == [
        f"tapedeck: cannot connect to {listen_stand_in.url} (HTTP 503: told to refuse); trying again",
        "tapedeck: connected",
    ]


async def test_what_is_not_stored_yet_is_said_and_is_no_failure(tapedeck, listen_stand_in):
    listen_stand_in.stores = False
    code, _, err = await tapedeck("send", "-", "--codec", "opus", stdin=AUDIO)
    assert code == 0
    assert "safe" in err


async def test_ls(tapedeck, storage_stand_in):
    conversation = {
        "conversation_id": "c-1",
        "start": "2026-11-21T00:00:00.000Z",
        "end": "2026-11-21T00:01:01.040Z",
        "recorded_seconds": 61.04,
        "live": True,
    }
    chunk = {
        "timestamp": "1.000",
        "start": "2026-11-21T00:00:00.000Z",
        "end": "2026-11-21T00:01:00.000Z",
        "duration_ms": 60000,
        "path": "chunks/x",
        "size": 9,
        "is_batch": True,
        "format": "ogg_opus",
        "protection": "standard",
        "state": "stored",
        "overlapped": True,
        "unreadable": "not_a_batch",
    }
    gap = {"start": "2026-11-21T00:01:00.000Z", "end": "2026-11-21T00:01:00.500Z", "duration_ms": 500}
    storage_stand_in.answers = {
        BASE: (200, {"conversations": [conversation], "next_page_token": None}),
        f"{BASE}/c-1/chunks": (200, {"chunks": [chunk], "gaps": [gap], "next_page_token": None}),
    }
    code, out, _ = await tapedeck("ls", "--user", "anna")
    assert code == 0
    assert "c-1" in out.decode()
    assert "61.0" in out.decode()
    assert "live" in out.decode()
    _, out, _ = await tapedeck("ls", "c-1", "--user", "anna")
    assert out.decode().index("chunks/x") < out.decode().index("gap")
    _, out, _ = await tapedeck("ls", "c-1", "--user", "anna", "--json")
    assert out.decode().strip() == json.dumps({"chunks": [chunk], "gaps": [gap]}, separators=(",", ":"))
    assert storage_stand_in.requests[0][1]["Authorization"] == "Bearer service"


async def test_get_to_a_file_and_to_standard_output(tapedeck, storage_stand_in, tmp_path):
    storage_stand_in.audio = AUDIO
    storage_stand_in.breaks = [5000]
    code, _, err = await tapedeck("get", "c-1", "--format", "wav")
    assert code == 0
    assert "100000 bytes" in err
    assert (tmp_path / "c-1.wav").read_bytes() == AUDIO
    code, out, _ = await tapedeck("get", "c-1", "-o", "-")
    assert out == AUDIO
    code, out, _ = await tapedeck("get", "c-1", "-o", "x.ogg", "--json")
    assert json.loads(out) == {"file": "x.ogg", "bytes": 100_000, "missing": 0}


async def test_token(tapedeck):
    code, out, _ = await tapedeck("token", "--user", "bert", "--hours", "1")
    assert code == 0
    claims = jwt.decode(out.decode().strip(), SECRET, algorithms=["HS256"])
    assert claims["sub"] == "bert"
    assert claims["exp"] - claims["iat"] == 3600
    _, out, _ = await tapedeck("token", "--json")
    assert json.loads(out)["user"] == "demo"
    _, out, _ = await tapedeck("token", "carla")
    assert jwt.decode(out.decode().strip(), SECRET, algorithms=["HS256"])["sub"] == "carla"


@pytest.mark.parametrize(
    ("arguments", "code", "said", "next_step"),
    [
        (["ls", "missing"], 4, "no such thing", "tapedeck ls"),
        (["send", "none.wav"], 1, "can't be read", "any audio file"),
        (["get", "c", "--url", "http://127.0.0.1:1"], 1, "does not answer", "tapedeck up"),
        (
            ["get", "c-1", "-o", "/nonexistent/x.wav"],
            1,
            "No such file or directory",
            "name a file in a folder",
        ),
        (["get", "c-1", "-o", "/tmp"], 1, "/tmp is a folder", "name a file in it"),
        (["get", "c-1", "--start", "foo"], 2, "'foo' is no time", "write 2026-"),
        (["up", "--data-dir", "/etc/hostname"], 1, "File exists", "--data-dir"),
        (
            ["up", "--ready-file", "/proc/r.json", "--listen-port", "0", "--storage-port", "0"],
            1,
            "/proc/r.json",
            "--ready-file",
        ),
        (["send", "-", "--sample-rate", "1"], 2, "sample-rate", ""),
        (["up", "--listen-port", "99999"], 2, "listen-port", ""),
    ],
)
async def test_errors_say_what_to_do_and_set_the_exit_code(tapedeck, arguments, code, said, next_step):
    found, _, err = await tapedeck(*arguments)
    assert found == code
    assert said in err
    assert next_step in err
    assert "Traceback" not in err


async def test_without_a_system(tapedeck):
    code, _, err = await tapedeck("ls", TAPEDECK_READY_FILE="nowhere.json")
    assert code == 3
    assert "`tapedeck up`" in err
