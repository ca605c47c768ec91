"""`tapedeck keys` as operators run it: its output and its exit code."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from audiostore import open_store
from audiostore.key_ring import KeyRing
from audiostore.sealing import seal
from tapedeck import ready_file
from tapedeck.__main__ import main
from tapedeck.ready_file import Admin, Pids, Ready

K1 = "k1:MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="
K2 = "k2:MjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjI="
NAME = "chunks/u/c/17000000{:02}.000-1700000060.000.batch.enc"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command line in this process: starting one for each question would cost more than all of them."""
    for name in [name for name in os.environ if name.startswith("TAPEDECK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def tapedeck(*arguments, **environ):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["tapedeck", "keys", *arguments])
            for name, value in environ.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return tapedeck


@pytest.fixture
def bucket(tmp_path):
    """Two objects under k1, one under k2."""
    url = f"file://{tmp_path}/bucket"

    async def fill():
        store = open_store(url)
        for number, key_id in enumerate(("k1", "k1", "k2")):
            ring = KeyRing({key_id: key_id[1].encode() * 32})
            data = seal(b"sound", ring, "u")
            await store.put(NAME.format(number), data, content_type="x", metadata={})
        await store.close()

    asyncio.run(fill())
    return url


def test_a_new_entry_is_one_of_a_ring_and_another_each_time(run):
    entries = []
    for _ in range(2):
        code, out, err = run("new")
        assert (code, err) == (0, "")
        entries.append(out)
        assert KeyRing.parse(out).ids[0].startswith("k2")
    assert entries[0] != entries[1]
    assert len(KeyRing.parse(",".join(entries)).ids) == 2
    code, out, _ = run("new", "--id", "autumn", "--json")
    answer = json.loads(out)
    assert answer["id"] == "autumn"
    assert KeyRing.parse(answer["entry"]).ids == ("autumn",)
    code, out, err = run("new", "--id", "a:b")
    assert (code, out) == (1, "")
    assert "no comma, colon or space" in err


def test_the_command_needs_no_bucket_to_say_what_it_can():
    """Nor the time that it takes to import one."""
    modules = (
        "import sys, tapedeck.__main__; print([one for one in sys.modules if one.startswith('audiostore')])"
    )
    done = subprocess.run([sys.executable, "-c", modules], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_all_keys_are_there(run, bucket):
    environ = {"TAPEDECK_STORE_URL": bucket, "TAPEDECK_ENCRYPTION_KEYS": f"{K2},{K1}"}
    code, out, err = run("check", **environ)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines == [
        ["key", "objects", "oldest", "newest"],
        ["k2", "1", "seals", NAME.format(2), NAME.format(2)],
        ["k1", "2", "opens", NAME.format(0), NAME.format(1)],
    ]
    assert "MTEx" not in out + err


def test_a_key_is_missing(run, bucket, tmp_path):
    (tmp_path / "keys").write_text(K2 + "\n")
    environ = {"TAPEDECK_STORE_URL": bucket, "TAPEDECK_ENCRYPTION_KEYS_FILE": "keys"}
    code, out, err = run("check", "--json", **environ)
    assert (code, err) == (1, "")
    answer = json.loads(out)
    assert (answer["ok"], answer["missing"], answer["damaged"]) == (False, ["k1"], 0)
    assert answer["keys"][1] == {
        "id": "k1",
        "in_ring": False,
        "seals": False,
        "objects": 2,
        "oldest": NAME.format(0),
        "newest": NAME.format(1),
    }
    code, out, err = run("check", **environ)
    assert code == 1
    assert "NOT IN THE RING" in out
    assert "the ring lacks k1" in err


def test_older_formats_need_their_secret(run, bucket, tmp_path):
    (tmp_path / "bucket/chunks/u/c/1600000000.000.enc").write_bytes(bytes(50))
    environ = {"TAPEDECK_STORE_URL": bucket, "TAPEDECK_ENCRYPTION_KEYS": f"{K2},{K1}"}
    code, out, err = run("check", **environ)
    assert code == 1
    assert "NOT SET" in out
    assert "TAPEDECK_LEGACY_SECRET is not set" in err
    code, out, err = run("check", **environ, TAPEDECK_LEGACY_SECRET="hush-hush")
    assert (code, err) == (0, "")
    assert "hush" not in out


def test_the_store_of_the_ready_file_and_none_at_all(run, bucket, tmp_path):
    code, _, err = run("check", TAPEDECK_ENCRYPTION_KEYS=K1)
    assert code == 3
    assert "there is no running system" in err
    ready = Ready("l", "s", "r", bucket, "c", "t", "j", Pids(), Admin("a", "b", "c"))
    ready_file.write(tmp_path / "data" / "ready.json", ready)
    assert run("check", TAPEDECK_ENCRYPTION_KEYS=f"{K1},{K2}")[0] == 0
    assert run("check")[0] == 1


def test_what_is_wrong_is_said_without_a_secret(run, bucket):
    for environ, told in (
        ({"TAPEDECK_ENCRYPTION_KEYS": "k1:hush"}, "entry 1 is not the 44 characters"),
        ({"TAPEDECK_ENCRYPTION_KEYS": K1, "TAPEDECK_ENCRYPTION_KEYS_FILE": __file__}, "one source"),
        ({"TAPEDECK_ENCRYPTION_KEYS_FILE": "/nowhere"}, "must name a file"),
        ({"TAPEDECK_STORE_URL": "memory:"}, "cannot be seen from outside"),
    ):
        code, out, err = run("check", **{"TAPEDECK_STORE_URL": bucket, **environ})
        assert (code, out) == (1, "")
        assert told in err
        assert "hush" not in err
        assert "MTEx" not in err


def test_a_bucket_that_is_none(run, tmp_path):
    code, out, err = run("check", "--store", "ftp://x")
    assert (code, out) == (2, "")
    assert "this kind of store is not known" in err
    code, out, err = run("check", "--store", f"file://{tmp_path}/missing")
    assert (code, out) == (1, "")
    assert "there is no folder" in err
    assert not (tmp_path / "missing").exists()


def test_an_empty_bucket_needs_nothing(run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, err = run("check", "--store", f"file://{tmp_path}/empty")
    assert (code, out) == (0, "")
    assert "no object is sealed" in err
