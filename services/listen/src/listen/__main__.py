"""`python -m listen`."""

from listen.settings import ListenSettings
from servicekit.process import main
from servicekit.stop import Stop


async def _start(settings: ListenSettings, stop: Stop) -> None:
    # Imported here, so that --help and wrong settings answer at once.
    from listen.service import start  # noqa: PLC0415 - as above

    await start(settings, stop)


if __name__ == "__main__":
    main("listen", ListenSettings, _start)
