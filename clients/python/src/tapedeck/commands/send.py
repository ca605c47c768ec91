"""`tapedeck send`."""

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tapedeck.commands.terminal import (
    ERR,
    JsonOption,
    TokenOption,
    UrlOption,
    UserOption,
    print_json,
    print_table,
)
from tapedeck.send_codec import SendCodec
from tapedeck.system import System

if TYPE_CHECKING:
    from tapedeck import listen_options
    from tapedeck.audio_file import AudioSource
    from tapedeck.sending import Job, Sent

FIRST_PATIENCE_S = 10.0
"""How long a server is waited for that nobody has seen yet: one that is being started, not one that is away for a while."""


def send(  # noqa: PLR0913 - options of a command
    *,
    files: Annotated[list[str], typer.Argument(help="Any audio files; - is raw PCM (s16le) on stdin.")],
    codec: Annotated[SendCodec, typer.Option(help="What goes over the wire.")] = "pcm16",
    realtime: Annotated[
        bool, typer.Option("--realtime/--fast", help="As slowly as it plays, or at once.")
    ] = False,
    conversation: Annotated[
        str | None, typer.Option(help="Record into this conversation; else each file into a new one.")
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(min=8000, max=48000, help="Hz to send at; else the file's, 16000 for -.")
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2,
            help="2: near is left, far is right; else the file's, 1 if it has more, 1 for -.",
        ),
    ] = None,
    user: UserOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Record audio files into conversations; reconnects and resumes."""
    from tapedeck.audio_file import open_source  # noqa: PLC0415 - not needed for --help

    system = System(url, token, user)
    uid = system.uid if json else ""  # a token that names none is told before anything is sent
    sources = [open_source(name, sample_rate, channels) for name in files]
    sent = asyncio.run(_send_all(system, _jobs(sources, codec, conversation, realtime=realtime)))
    if json:
        print_json({"user": uid, "recordings": sent})
        return
    columns = ["file", "conversation", "seconds", "sent", "acked", "stored"]
    rows = [
        [
            s.name,
            s.conversation_id,
            f"{s.seconds:.2f}",
            str(s.sent_bytes),
            str(s.acked_bytes),
            str(s.stored_bytes),
        ]
        for s in sent
    ]
    print_table(columns, rows, empty="nothing was sent")
    if not all(s.stored for s in sent):
        ERR.print(
            "All of it is safe; what is not stored yet follows within a minute where a pusher is at work."
        )


def _jobs(
    sources: "list[AudioSource]", codec: SendCodec, conversation: str | None, *, realtime: bool
) -> "list[Job]":
    """In one conversation files follow one another; sent fast, the last of them ends now."""
    from tapedeck.sending import Job  # noqa: PLC0415 - not needed for --help

    jobs: list[Job] = []
    at_ms = time.time() * 1000
    lengths_ms = [(source.seconds or 0) * 1000 for source in sources]
    if conversation is not None:
        at_ms -= sum(lengths_ms)
    for source, length_ms in zip(sources, lengths_ms, strict=True):
        start_ms = None if realtime else round(at_ms if conversation is not None else at_ms - length_ms)
        job = Job(source, codec, realtime, start_ms, conversation)
        # The files after the first have seen the server.
        jobs.append(job if jobs else replace(job, first_patience_s=FIRST_PATIENCE_S))
        at_ms += length_ms if conversation is not None else 0
    return jobs


async def _send_all(system: System, jobs: "list[Job]") -> "list[Sent]":
    from tapedeck.sending import send as send_one  # noqa: PLC0415 - not needed for --help

    sent = []
    with _Bar(jobs, system.listen_url) as bar:
        for number, job in enumerate(jobs):
            bar.begin(number)
            sent.append(await send_one(system.listen_url, system.user_token, job, bar.show))
    return sent


class _Bar:
    """Progress on a terminal, and nothing elsewhere but that the server is away, and back."""

    def __init__(self, jobs: "list[Job]", url: str) -> None:
        self._jobs = jobs
        self._url = url
        self._away = False
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=ERR,
            disable=not ERR.is_terminal,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, number: int) -> None:
        """The next file."""
        job = self._jobs[number]
        total = None
        if job.source.seconds and job.codec == "pcm16":
            total = job.source.seconds * job.source.sample_rate * 2 * job.source.channels
        self._task = self._progress.add_task(job.source.name, total=total, state="connecting")

    def show(self, now: "listen_options.Progress") -> None:
        """Where it stands."""
        if now.unreachable and not self._away:
            self._away = True
            ERR.print(
                f"tapedeck: cannot connect to {self._url} ({now.unreachable}); trying again",
                markup=False,
                highlight=False,
            )
        elif self._away and now.connected:
            self._away = False
            ERR.print("tapedeck: connected", markup=False, highlight=False)
        if self._task is None:
            return
        state = f"sent {_kib(now.sent_bytes)}, acked {_kib(now.acked_bytes)}, stored {_kib(now.stored_bytes)}"
        if not now.connected:
            state = f"{state}; connecting"
        elif now.buffering:
            state = f"{state}; the server is buffering"
        self._progress.update(self._task, completed=now.acked_bytes, state=state)


def _kib(size: int) -> str:
    return f"{size / 1024:.0f} KiB"
