"""`tapedeck up`."""

from pathlib import Path
from typing import Annotated

import typer

from tapedeck.commands.terminal import ERR, JsonOption


def up(  # noqa: PLR0913 — each is an option of the command
    *,
    data_dir: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path("data"),
    listen_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of listen; 0 takes any.")] = 8080,
    storage_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the storage API; 0 takes any.")
    ] = 8081,
    redis_url: Annotated[
        str | None,
        typer.Option(envvar="TAPEDECK_REDIS_URL", help="A running Redis instead of the embedded one."),
    ] = None,
    redis_mib: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="maxmemory of the embedded Redis in MiB, 0 for none; else half of what the machine has.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(envvar="TAPEDECK_STORE_URL", help="A bucket instead of a folder in the data directory."),
    ] = None,
    fallback_store: Annotated[
        str | None,
        typer.Option(
            envvar="TAPEDECK_FALLBACK_STORE_URL", help="A second bucket for when the first is away."
        ),
    ] = None,
    listen_workers: Annotated[int, typer.Option(min=1, help="Processes of listen.")] = 1,
    pushers: Annotated[int, typer.Option(min=1, help="Processes of pusher.")] = 1,
    ready_file: Annotated[
        Path | None,
        typer.Option(help="Written when everything answers; else ready.json in the data directory."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run the whole stack as child processes, which are started again when they die."""
    from tapedeck.up.command import up as run  # noqa: PLC0415 - not needed for --help
    from tapedeck.up.plan import UpOptions  # noqa: PLC0415 - not needed for --help

    options = UpOptions(
        data_dir=data_dir,
        listen_port=listen_port,
        storage_port=storage_port,
        redis_url=redis_url,
        redis_mib=redis_mib,
        store=store,
        fallback_store=fallback_store,
        listen_workers=listen_workers,
        pushers=pushers,
        ready_file=ready_file,
    )
    raise typer.Exit(run(options, ERR, json=json))
