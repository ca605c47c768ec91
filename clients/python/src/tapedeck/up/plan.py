"""What `tapedeck up` runs: options and environment in, the children's commands and environments out.

Owns which setting reaches which child. Starts nothing; holds ports and makes the data directory on the way.
"""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tapedeck.ready_file import Admin, Pids, Ready
from tapedeck.up import redis_server
from tapedeck.up.admin_sum import AdminSum
from tapedeck.up.child import ChildSpec
from tapedeck.up.data_dir import DataDir
from tapedeck.up.ports import LOOPBACK, HeldPort, free_port, hold

SEALING_SETTINGS = frozenset(
    {"TAPEDECK_ENCRYPTION_KEYS", "TAPEDECK_ENCRYPTION_KEYS_FILE", "TAPEDECK_LEGACY_SECRET"}
)
"""For those who open or seal objects; listen and Redis have no use for them, so they are not given them."""

MODULES = {"listen": "listen", "pusher": "pusher", "storage_api": "storage_api"}


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The options of `tapedeck up`."""

    data_dir: Path = Path("data")
    listen_port: int = 8080
    storage_port: int = 8081
    """0: any, and the same again at the next start where it is free."""
    redis_url: str | None = None
    """None: an embedded one."""
    redis_mib: int | None = None
    """`maxmemory` of the embedded one; 0: none. None: half of what the machine has."""
    store: str | None = None
    """None: in the data directory."""
    fallback_store: str | None = None
    """None: no second bucket."""
    listen_workers: int = 1
    pushers: int = 1
    ready_file: Path | None = None
    """None: ready.json in the data directory."""
    modules: Mapping[str, str] = field(default_factory=lambda: dict(MODULES))
    """Which Python module is run for which component."""

    @property
    def ready_path(self) -> Path:
        """Where the ready file is."""
        return self.ready_file if self.ready_file is not None else self.data_dir / "ready.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be run. The ports are held as long as the plan is."""

    redis: ChildSpec | None
    redis_port: int
    services: tuple[ChildSpec, ...]
    sums: tuple[AdminSum, ...]
    """For each component that has several processes."""
    ready: Ready
    """Without pids."""
    held: tuple[HeldPort, ...]


def make_plan(options: UpOptions, folder: DataDir, lock_fd: int, environ: Mapping[str, str]) -> Plan:
    """Raises PortTakenError and RedisBinaryError."""
    kept = _unlike(folder.kept_ports())
    no_keys = {name: value for name, value in environ.items() if name not in SEALING_SETTINGS}
    listen = hold(LOOPBACK, options.listen_port, kept.get("listen"))
    storage = hold(LOOPBACK, options.storage_port, kept.get("storage_api"))
    names = {
        "listen": [f"listen-{n}" for n in range(1, options.listen_workers + 1)],
        "pusher": [f"pusher-{n}" for n in range(1, options.pushers + 1)],
        "storage_api": ["storage-api"],
    }
    admin = {name: hold(LOOPBACK, 0, kept.get(name)) for group in names.values() for name in group}
    summed = {f"{one}-sum": hold(LOOPBACK, 0, kept.get(f"{one}-sum")) for one in names if len(names[one]) > 1}
    admin |= summed
    sums = {
        component: AdminSum(port.host, port.number, tuple(f"http://{admin[name].bind}" for name in group))
        for component, group in names.items()
        if (port := summed.get(f"{component}-sum")) is not None
    }
    redis, redis_port, redis_url = None, 0, options.redis_url
    if redis_url is None:
        redis_port = free_port(LOOPBACK, kept.get("redis"))
        redis_url = f"redis://{LOOPBACK}:{redis_port}/0"
        redis = _redis(folder, redis_port, lock_fd, no_keys, options.redis_mib)
    store = options.store if options.store is not None else folder.store_url
    shared, service_token, jwt_secret = _shared_settings(folder, redis_url, store, environ)
    keys_file = _own_keys_file(folder, store, environ)
    sealing = {"TAPEDECK_ENCRYPTION_KEYS_FILE": keys_file} if keys_file else {}
    if options.fallback_store is not None:
        shared["TAPEDECK_FALLBACK_STORE_URL"] = options.fallback_store
    services = []
    for component, group in names.items():
        for name in group:
            settings = {"TAPEDECK_ADMIN_BIND": admin[name].bind}
            if component == "listen":
                settings["TAPEDECK_LISTEN_BIND"] = listen.bind
            elif component == "pusher":
                settings["TAPEDECK_PUSHER_NAME"] = (
                    name  # stable: a restarted pusher takes its own leases over at once
                )
            else:
                settings["TAPEDECK_STORAGE_BIND"] = storage.bind
            services.append(
                ChildSpec(
                    name=name,
                    component=component,
                    command=(sys.executable, "-P", "-m", options.modules[component]),
                    environ={
                        **(no_keys if component == "listen" else {**environ, **sealing}),
                        **shared,
                        **settings,
                    },
                    log=folder.log_path(name),
                    admin_url=f"http://{admin[name].bind}",
                )
            )
    ports = {name: port.number for name, port in admin.items()}
    ports |= {"listen": listen.number, "storage_api": storage.number}
    folder.keep_ports({**kept, **ports, **({"redis": redis_port} if redis_port else {})})
    ready = Ready(
        listen=f"ws://{listen.bind}",
        storage_api=f"http://{storage.bind}",
        redis=redis_url,
        store=store,
        console=f"http://{storage.bind}/console",
        service_token=service_token,
        jwt_secret=jwt_secret,
        pids=Pids(),
        admin=Admin(
            *(
                sums[component].url if component in sums else f"http://{admin[names[component][0]].bind}"
                for component in MODULES
            )
        ),
        fallback_store=options.fallback_store or environ.get("TAPEDECK_FALLBACK_STORE_URL", ""),
        encryption_keys_file=keys_file,
    )
    return Plan(
        redis, redis_port, tuple(services), tuple(sums.values()), ready, (listen, storage, *admin.values())
    )


def _own_keys_file(folder: DataDir, store: str, environ: Mapping[str, str]) -> str:
    """The ring made for the bucket in the data directory, with which it goes; "" where the operator brought one, or another bucket.

    What lies elsewhere outlives this directory: a key that nobody knows they have to keep would be lost with it.
    """
    brought = environ.get("TAPEDECK_ENCRYPTION_KEYS") or environ.get("TAPEDECK_ENCRYPTION_KEYS_FILE")
    return "" if brought or store != folder.store_url else str(folder.encryption_keys())


def _unlike(kept: Mapping[str, int]) -> dict[str, int]:
    """The kept ports without those that stand there twice: two children cannot share one."""
    numbers = list(kept.values())
    return {name: number for name, number in kept.items() if numbers.count(number) == 1}


def _redis(
    folder: DataDir, port: int, lock_fd: int, environ: Mapping[str, str], mib: int | None
) -> ChildSpec:
    max_bytes = redis_server.half_of_the_machine() if mib is None else mib * 2**20
    command = redis_server.command(redis_server.find(), port=port, folder=folder.redis, max_bytes=max_bytes)
    return ChildSpec(
        name="redis",
        component="redis",
        command=tuple(command),
        environ=environ,
        log=folder.log_path("redis"),
        parent_death_signal=signal.SIGTERM,  # it writes down what it has and ends
        inherited=(lock_fd,),  # as long as it lives nobody else may open its data
    )


def _shared_settings(
    folder: DataDir, redis_url: str, store: str, environ: Mapping[str, str]
) -> tuple[dict[str, str], str, str]:
    """Settings of every service, the service token in plaintext, and the secret of user tokens.

    What the operator set stands; a token or secret of theirs is "" where it is not ours to know.
    """
    settings = {"TAPEDECK_REDIS_URL": redis_url, "TAPEDECK_STORE_URL": store}
    auth = environ.get("TAPEDECK_AUTH", "dev")
    settings["TAPEDECK_AUTH"] = auth
    service_token = jwt_secret = ""
    if not environ.get("TAPEDECK_SERVICE_TOKENS_FILE"):
        path, service_token = folder.service_tokens()
        settings["TAPEDECK_SERVICE_TOKENS_FILE"] = str(path)
    own_secret = environ.get("TAPEDECK_JWT_SECRET_FILE")
    if own_secret:
        jwt_secret = Path(own_secret).read_text().strip() if os.access(own_secret, os.R_OK) else ""
    elif auth == "dev":
        secret_path, jwt_secret = folder.jwt_secret()
        settings["TAPEDECK_JWT_SECRET_FILE"] = str(secret_path)
    return settings, service_token, jwt_secret
