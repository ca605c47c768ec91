"""`python -m pusher`."""

from pusher.settings import PusherSettings
from servicekit.process import main
from servicekit.stop import Stop


async def _start(settings: PusherSettings, stop: Stop) -> None:
    # Here, so that --help and wrong settings answer at once.
    from pusher.service import start  # noqa: PLC0415

    await start(settings, stop)


main("pusher", PusherSettings, _start)
