"""The settings of storage-api, read from the environment once."""

from typing import Annotated

import msgspec

from servicekit.bind import Bind
from servicekit.groups import AdminSettings, AuthSettings, ProcessSettings, RedisSettings, StoreSettings
from servicekit.settings import Setting


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What storage-api needs to know."""

    redis: RedisSettings
    store: StoreSettings
    auth: AuthSettings
    admin: AdminSettings
    process: ProcessSettings
    bind: Annotated[
        Bind,
        Setting(
            "TAPEDECK_STORAGE_BIND",
            Bind.parse,
            "host:port of the storage API and the console",
            default_in_dev=Bind("127.0.0.1", 8081),
        ),
    ] = Bind("0.0.0.0", 8081)  # noqa: S104 - clients come from other machines
