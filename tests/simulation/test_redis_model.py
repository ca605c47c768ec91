"""The model of Redis, held against the real one: the same commands, the same replies, the same keys at the end."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import redis
from redis import exceptions as redis_errors

from tapedeck_testing.redis_binary import newest_on_path, version_of
from tapedeck_testing.redis_fixtures import missing
from tapedeck_testing.redis_process import RedisProcess
from tapedeck_testing.simulation.redis_command import COMMANDS
from tapedeck_testing.simulation.redis_likeness import alike
from tapedeck_testing.simulation.redis_model import RedisModel
from tapedeck_testing.simulation.redis_script_calls import ScriptCalls
from tapedeck_testing.simulation.redis_sequences import Command, Draw

NOW_MS = 1_700_000_000_000
VERSION = (7, 0)


class Real:
    """A server of its own, asked over one connection, with replies as they come off the wire."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url, protocol=2)
        self.connection = self.client.connection_pool.get_connection()

    def run(self, commands: list[Command]) -> list[Any]:
        """The replies, errors among them."""
        replies = []
        for start in range(0, len(commands), 200):
            part = commands[start : start + 200]
            self.connection.send_packed_command(self.connection.pack_commands(part))
            for _ in part:
                try:
                    replies.append(self.connection.read_response())
                except redis_errors.ResponseError as error:
                    replies.append(error)
        return replies

    def close(self) -> None:
        self.client.connection_pool.release(self.connection)
        self.client.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    binary = newest_on_path()
    if binary is None:
        missing("no redis-server 7 on PATH")
        return
    if version_of(binary)[:2] != VERSION:
        pytest.skip("texts and numbers differ a little between versions: the model is of Redis 7.0")
    process = RedisProcess(binary, tmp_path_factory.mktemp("model")).start()
    client = Real(process.url)
    yield client
    client.close()
    process.stop()


@pytest.fixture
def real(server: Real) -> Real:
    server.run([["CONFIG", "SET", "maxmemory", "0"], ["FLUSHALL"], ["SCRIPT", "FLUSH"]])
    return server


def ask(model: RedisModel, command: Command) -> Any:
    try:
        return model.execute(command)
    except redis_errors.ResponseError as error:
        return error


def both(real: Real, model: RedisModel, commands: Iterable[Command]) -> list[Any]:
    """Runs them on both, compares each reply, then all keys; the model's replies."""
    asked = [(command, ask(model, command)) for command in commands]
    wanted = real.run([command for command, _ in asked])
    for place, ((command, reply), answer) in enumerate(zip(asked, wanted, strict=True)):
        assert alike(command, reply) == alike(command, answer), f"command {place}: {command}"
    for command in look(model):
        assert alike(command, ask(model, command)) == alike(command, real.run([command])[0]), command
    return [reply for _, reply in asked]


def look(model: RedisModel) -> list[Command]:
    """The commands that show all there is."""
    looks: list[Command] = [["KEYS", "*"]]
    for key in sorted(model.execute(["KEYS", "*"])):
        kind = model.execute(["TYPE", key])
        looks.append(["TYPE", key])
        looks.append(["PTTL", key])
        match kind:
            case b"string":
                looks.append(["GET", key])
            case b"hash":
                looks.append(["HGETALL", key])
            case b"set":
                looks.append(["SMEMBERS", key])
            case b"zset":
                looks.append(["ZRANGE", key, "0", "-1", "WITHSCORES"])
            case _:
                looks += [["XRANGE", key, "-", "+"], ["XINFO", "STREAM", key], ["XINFO", "GROUPS", key]]
                for group in model.execute(["XINFO", "GROUPS", key]):
                    looks.append(["XPENDING", key, group[1], "-", "+", "1000"])
                    looks.append(["XINFO", "CONSUMERS", key, group[1]])
    return looks


def test_knows_of_each_command_what_redis_knows(real):
    known = {command.name: command for command in COMMANDS.values()}
    told = real.run([["COMMAND", "INFO", *sorted(known)]])[0]
    for name, arity, flags, *rest in told:
        command = known[name]
        assert command.arity == arity, name
        if isinstance(command.needs_memory, tuple):
            parts = {part[0].rpartition(b"|")[2].upper(): part[2] for part in rest[-1]}
            assert {part for part, own in parts.items() if b"denyoom" in own} == {*command.needs_memory}
        elif b"write" in flags or b"readonly" in flags:
            assert (command.writes, command.needs_memory) == (b"write" in flags, b"denyoom" in flags), name
        assert b"noscript" not in flags, name


@pytest.mark.parametrize("seed", range(40))
def test_answers_random_commands_as_redis_does(real, seed):
    both(real, RedisModel(lambda: NOW_MS), Draw(seed).commands(400))


@pytest.mark.parametrize("seed", range(30))
def test_runs_every_script_as_redis_does(real, seed):
    model = RedisModel(lambda: NOW_MS)
    both(real, model, ScriptCalls(seed, lambda command: ask(model, command)).draw(400))


def test_refuses_with_the_texts_that_the_services_know(real):
    model = RedisModel(lambda: NOW_MS)
    conv = ["conv", "f", "v"]
    replies = both(
        real,
        model,
        [
            ["HSET", *conv],
            ["XREADGROUP", "GROUP", "pusher", "p1", "STREAMS", "ready", ">"],
            ["XGROUP", "CREATE", "ready", "pusher", "0", "MKSTREAM"],
            ["XGROUP", "CREATE", "ready", "pusher", "0", "MKSTREAM"],
            ["XAUTOCLAIM", "ready", "others", "p1", "0", "0-0"],
            ["EVALSHA", "0" * 40, "0"],
            ["GET", "conv"],
            ["XADD", "audio", "5-10", "c", "x"],
            ["XADD", "audio", "5-10", "c", "x"],
            ["XADD", "audio", "5-9", "c", "x"],
            ["CONFIG", "SET", "maxmemory", "1"],
            ["HSET", *conv],
            ["EVAL", "local x = redis.call('HSET', KEYS[1], 'f', 'v') return x", "1", "conv"],
            ["CONFIG", "SET", "maxmemory", "0"],
        ],
    )
    assert [type(reply).__name__ for reply in replies if isinstance(reply, Exception)] == [
        "ResponseError",
        "ResponseError",
        "ResponseError",
        "NoScriptError",
        "ResponseError",
        "ResponseError",
        "ResponseError",
        "OutOfMemoryError",
        "OutOfMemoryError",
    ]
    assert str(replies[1]).startswith("NOGROUP No such key 'ready' or consumer group 'pusher'")
    assert str(replies[3]) == "BUSYGROUP Consumer Group name already exists"
    assert str(replies[4]).startswith("NOGROUP ")
    assert str(replies[6]).startswith("WRONGTYPE ")
    assert "equal or smaller than the target stream top item" in str(replies[8])


def test_lets_a_script_write_into_full_memory_once_it_has_called_what_needs_none(real):
    model = RedisModel(lambda: NOW_MS)
    first = "redis.call('HDEL', KEYS[1], '') return redis.call('HSET', KEYS[1], 'f', ARGV[1])"
    replies = both(
        real,
        model,
        [
            ["CONFIG", "SET", "maxmemory", "1"],
            ["SET", "k", "v"],
            ["EVAL", first, "1", "conv", "v"],
            ["HGET", "conv", "f"],
            ["XGROUP", "CREATE", "ready", "g", "0", "MKSTREAM"],
            ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "ready", ">"],
            ["EVAL", "local x = redis.pcall('SET', KEYS[1], 'v') return x.err", "1", "k"],
            ["DEL", "conv"],
            ["CONFIG", "SET", "maxmemory", "0"],
        ],
    )
    assert isinstance(replies[1], redis_errors.OutOfMemoryError)
    assert replies[3] == b"v"


def test_converts_between_lua_and_replies_as_redis_does(real):
    scripts = [
        "return {1, 2.9, -2.9, false, true, {1, 'a', {}}, nil, 4}",
        "return {ok = 'FINE'}",
        "return {err = 'MY text'}",
        "return redis.error_reply('MY text')",
        "return redis.status_reply('FINE')",
        "return {{ok = 'FINE'}, {}}",
        "return nil",
        "return {}",
        "return 3.99",
        "return 1e15",
        "return 'text'",
        "return redis.call('HMGET', 'h', 'a', 'none')[2] == false",
        "return {type(redis.call('GET', 'none')), type(redis.call('HLEN', 'h')), redis.call('SET', 'k', 'v').ok}",
        "return redis.call('SET', 'k', 1.5)",
        "redis.call('SET', 'k', 10000000000) return redis.call('GET', 'k')",
        "redis.call('SET', 'k', 0.1) return redis.call('GET', 'k')",
        "redis.call('SET', 'k', 1e20) return redis.call('GET', 'k')",
        "local x = redis.call('XRANGE', 's', '-', '+') return {#x, x[1][1], x[1][2][2]}",
        "local x = redis.call('XRANGE', 's', '-', '+') return x",
        "return redis.sha1hex('a')",
        "return #KEYS + #ARGV",
        "local x = redis.call('HSET', 'h', 'a', nil) return x",
        "local x = redis.call('HSET', 'h', 'a', {}) return x",
        "local x = redis.call('HSET', 'h', true, 'a') return x",
        "local x = redis.call() return x",
        "local x = redis.call('NOSUCH') return x",
        "local x = redis.call('HGET', 'h') return x",
        "local x = redis.call('WAIT', 0, 0) return x",
        "local x = redis.call('EVAL', 'return 1', 0) return x",
        "local x = redis.call('INCR', 's') return x",
        "local x = redis.pcall('INCR', 's') return x",
        "local x = redis.pcall('INCR', 's') return x.err",
        "local ok, x = pcall(redis.call, 'INCR', 's') return {tostring(ok), x.err}",
        "local x = 1\nlocal y = nil\nreturn x + y",
        "error('broken')",
        "error({err = 'MY text'})",
        "return undefined",
        "global = 1",
        "this is no Lua",
        "redis.call('SET', 'before', '1') redis.call('INCR', 's') return 1",
    ]
    commands: list[Command] = [["XADD", "s", "5-1", "c", "x"], ["HSET", "h", "a", "1"]]
    commands += [["EVAL", script, "0"] for script in scripts]
    commands += [
        ["EVAL", "return {KEYS[2], ARGV[1], #ARGV}", "2", "a", "b", "c"],
        ["EVAL", "return KEYS", "3", "a", "b", "c"],
    ]
    commands += [
        ["EVAL", "return 1", "1"],
        ["EVAL", "return 1", "-1"],
        ["EVAL", "return 1", "x"],
        ["EVAL", "return 1"],
    ]
    both(real, RedisModel(lambda: NOW_MS), commands)


def test_carries_large_answers_and_many_arguments(real):
    pairs = [word for n in range(600) for word in (f"f{n}", "v")]
    commands: list[Command] = [["HSET", "h", *pairs], ["SET", "big", b"\x00\xff" * 500_000]]
    commands += [["XADD", "s", f"5-{n + 1}", "c", str(n)] for n in range(300)]
    commands += [
        ["EVAL", script, "0", *pairs]
        for script in (
            "local x = redis.call('HVALS', 'h') return x",
            "local x = redis.call('HGETALL', 'h') return #x",
            "local x = redis.call('XRANGE', 's', '-', '+') return x",
            "local x = redis.call('XRANGE', 's', '-', '+') return {#x, x[300][2][2], x[301] == nil}",
            "local t = {} for i = 1, 20000 do t[i] = i end return t",
            "local t = {} for i = 1, 20000 do t[i] = 'x' end return {1, t}",
            "return ARGV",
            "return {#ARGV, ARGV[1200]}",
            "local x = redis.call('HDEL', 'h', unpack(ARGV)) return x",
            "local x = redis.call('GET', 'big') return {#x, x}",
        )
    ]
    both(real, RedisModel(lambda: NOW_MS), commands)


def test_knows_a_script_by_its_digest_from_its_first_run_on_until_it_restarts():
    model = RedisModel(lambda: NOW_MS)
    digest = hashlib.sha1(b"return 1", usedforsecurity=False).hexdigest()
    with pytest.raises(redis_errors.NoScriptError):
        model.execute(["EVALSHA", digest, 0])
    assert model.execute(["EVAL", "return 1", 0]) == 1
    assert model.execute(["EVALSHA", digest, 0]) == 1
    before = model.state.history
    model.restart()
    assert model.state.history != before
    with pytest.raises(redis_errors.NoScriptError):
        model.execute(["EVALSHA", digest, 0])


def test_ends_keys_by_the_clock_that_it_is_given():
    now = [NOW_MS]
    model = RedisModel(lambda: now[0])
    model.execute(["SET", "k", "v", "PX", 100])
    now[0] += 100
    assert model.execute(["GET", "k"]) == b"v"
    now[0] += 1
    assert model.execute(["GET", "k"]) is None
    assert model.execute(["KEYS", "*"]) == []


def test_gives_ids_by_the_clock_and_never_twice():
    now = [NOW_MS]
    model = RedisModel(lambda: now[0])
    ids = [model.execute(["XADD", "s", "*", "a", "b"]) for _ in range(2)]
    now[0] -= 50
    ids.append(model.execute(["XADD", "s", "*", "a", "b"]))
    now[0] += 51
    ids.append(model.execute(["XADD", "s", "*", "a", "b"]))
    assert ids == [b"%d-0" % NOW_MS, b"%d-1" % NOW_MS, b"%d-2" % NOW_MS, b"%d-0" % (NOW_MS + 1)]


def test_claims_what_has_been_idle_long_enough():
    now = [NOW_MS]
    model = RedisModel(lambda: now[0])
    model.execute(["XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"])
    model.execute(["XADD", "s", "5-1", "a", "b"])
    model.execute(["XREADGROUP", "GROUP", "g", "one", "STREAMS", "s", ">"])
    now[0] += 99
    assert model.execute(["XAUTOCLAIM", "s", "g", "two", 100, "0-0"]) == [b"0-0", [], []]
    now[0] += 1
    assert model.execute(["XAUTOCLAIM", "s", "g", "two", 100, "0-0"])[1] == [[b"5-1", [b"a", b"b"]]]


def test_scans_everything_that_stays_however_much_comes_and_goes():
    model = RedisModel(lambda: NOW_MS)
    for n in range(100):
        model.execute(["SET", f"stays{n}", "v"])
        model.execute(["SET", f"goes{n}", "v"])
    seen: set[bytes] = set()
    cursor: Any = 0
    rounds = 0
    while rounds == 0 or cursor != b"0":
        cursor, keys = model.execute(["SCAN", cursor, "MATCH", "stays*", "COUNT", 7])
        seen |= {*keys}
        model.execute(["DEL", f"goes{rounds}"])
        model.execute(["SET", f"comes{rounds}", "v"])
        rounds += 1
    assert seen == {b"stays%d" % n for n in range(100)}
    assert rounds > 10


def test_says_how_full_it_is():
    model = RedisModel(lambda: NOW_MS)
    empty = model.state.used_memory(model.keys)
    model.execute(["XADD", "s", "5-1", "c", b"x" * 10_000])
    assert 10_000 < model.state.used_memory(model.keys) - empty < 12_000
    model.maxmemory = empty + 10_000
    with pytest.raises(redis_errors.OutOfMemoryError):
        model.execute(["SET", "k", "v"])
    model.execute(["XTRIM", "s", "MINID", "=", "5-2"])
    assert model.execute(["SET", "k", "v"]) == b"OK"
    info = model.execute(["INFO", "memory"])
    assert b"maxmemory:%d" % model.maxmemory in info


def test_refuses_every_write_where_it_is_told_to():
    model = RedisModel(lambda: NOW_MS)
    model.refusal = "READONLY You can't write against a read only replica."
    with pytest.raises(redis_errors.ReadOnlyError):
        model.execute(["SET", "k", "v"])
    with pytest.raises(redis_errors.ReadOnlyError):
        model.execute(["EVAL", "return redis.call('SET', 'k', 'v')", 0])
    assert model.execute(["GET", "k"]) is None
