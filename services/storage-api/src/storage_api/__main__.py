"""`python -m storage_api`."""

from servicekit.process import main
from servicekit.stop import Stop
from storage_api.settings import StorageSettings


async def _start(settings: StorageSettings, stop: Stop) -> None:
    from storage_api.running import run  # noqa: PLC0415 - --help and wrong settings answer at once

    await run(settings, stop)


if __name__ == "__main__":
    main("storage_api", StorageSettings, _start)
