"""A master, its replicas and the sentinels that watch them: real processes on loopback."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tapedeck_testing.redis_process import RedisProcess

SERVICE = "tape"
DOWN_AFTER_MS = 500
DEADLINE_S = 60.0


class SentinelProcess(RedisProcess):
    """One sentinel. It writes what it knows into its own file, so it can be killed and comes back."""

    def __init__(
        self, binary: str, directory: Path, *, master: RedisProcess, quorum: int, options: str = ""
    ) -> None:
        super().__init__(binary, directory)
        directory.mkdir(parents=True, exist_ok=True)
        settings = directory / "sentinel.conf"
        settings.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {master.port} {quorum}\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {SERVICE} 5000\n{options}",
            encoding="utf-8",
        )
        self._command = [binary, str(settings), "--sentinel"]


class SentinelGroup:
    """One master with replicas, and three sentinels of which two must agree that it is gone."""

    def __init__(
        self,
        binary: str,
        directory: Path,
        *,
        replicas: int = 1,
        options: tuple[str, ...] = (),
        sentinel_options: str = "",
        password: str = "",
        sentinel_password: str = "",
    ) -> None:
        """`options` are each server's; `sentinel_options` lines of each sentinel's file; the passwords are what they ask for."""
        self._password, self._sentinel_password = password, sentinel_password
        self.master = RedisProcess(binary, directory / "server0", options=options)
        follow = ("--replicaof", "127.0.0.1", str(self.master.port))
        quick = ("--repl-diskless-sync-delay", "0", *options)
        self.replicas = [
            RedisProcess(binary, directory / f"server{n + 1}", options=(*follow, *quick))
            for n in range(replicas)
        ]
        self.master.add_options("--repl-diskless-sync-delay", "0")
        self.sentinels = [
            SentinelProcess(
                binary, directory / f"sentinel{n}", master=self.master, quorum=2, options=sentinel_options
            )
            for n in range(3)
        ]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        own = f"?sentinel_password={self._sentinel_password}" if self._sentinel_password else ""
        return f"redis+sentinel://:{self._password}@{hosts}/{SERVICE}{own}"

    @property
    def servers(self) -> list[RedisProcess]:
        """The first master, then the first replicas, whoever is the master now."""
        return [self.master, *self.replicas]

    def start(self) -> "SentinelGroup":
        """Starts everything and waits until the sentinels know each other and every replica is in step."""
        try:
            for process in (*self.servers, *self.sentinels):
                process.start()
            self._wait(self._ready, "the sentinels do not know everybody")
        except BaseException:
            self.stop()
            raise
        return self

    def address(self) -> int:
        """The port of the master as the first sentinel that answers has it."""
        for sentinel in self.sentinels:
            if sentinel.process is None:
                continue
            with _client(sentinel.port, self._sentinel_password) as client:
                return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])
        raise RuntimeError("no sentinel is up")

    def wait_for_failover(self, former: RedisProcess) -> RedisProcess:
        """Waits until another server is the master, says so itself, and answers which."""
        found: list[RedisProcess] = []

        def failed_over() -> bool:
            port = self.address()
            found[:] = [server for server in self.servers if server.port == port and server is not former]
            return bool(found) and role(found[0], self._password) == "master"

        self._wait(failed_over, "no failover")
        return found[0]

    def wait_for_demotion(self, former: RedisProcess) -> None:
        """Waits until a master that came back after its failover follows the new one."""
        self._wait(lambda: in_step(former, self._password), "the former master is still one")

    def _ready(self) -> bool:
        for sentinel in self.sentinels:
            with _client(sentinel.port, self._sentinel_password) as client:
                state = client.execute_command("SENTINEL", "MASTER", SERVICE)
            fields = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
            known = {_text(key): _text(value) for key, value in fields.items()}
            if known["num-slaves"] != str(len(self.replicas)) or known["num-other-sentinels"] != "2":
                return False
        return all(in_step(replica, self._password) for replica in self.replicas)

    def _wait(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(otherwise)
            next(one for one in self.sentinels if one.process is not None).wait(0.05)

    def stop(self) -> None:
        """Ends all of it."""
        for process in (*self.sentinels, *self.servers):
            process.stop()


def role(server: RedisProcess, password: str = "") -> str:
    """What the server says it is: `master` or `slave`."""
    with _client(server.port, password) as client:
        return _text(client.execute_command("ROLE")[0])


def in_step(replica: RedisProcess, password: str = "") -> bool:
    """Whether the replica has its master's data and follows, and the master has heard so: only then it counts for `WAIT`."""
    try:
        with _client(replica.port, password) as client:
            answer = client.execute_command("ROLE")
            if _text(answer[0]) != "slave" or _text(answer[3]) != "connected":
                return False
        with _client(int(answer[2]), password) as client:
            followers = client.info("replication")
    except redis.RedisError:
        return False
    return any(
        follower["port"] == replica.port and follower["state"] == "online"
        for name, follower in followers.items()
        if re.fullmatch(r"slave\d+", name)
    )


def _client(port: int, password: str) -> "redis.Redis":
    return redis.Redis(port=port, password=password or None, socket_timeout=2, retry=Retry(NoBackoff(), 0))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
