"""Operations of the storage API, as commands wait for them and tell them; and what turns while one of their requests is under way."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tapedeck.commands.terminal import ERR, print_json, print_result, print_table, visible
from tapedeck.errors import OperationFailedError, OperationPendingError
from tapedeck.storage.remedies import remedy
from tapedeck.storage_types import Operation

if TYPE_CHECKING:
    from tapedeck import StorageClient

WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Until it is done; else print the operation.")
]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", min=0, help="Seconds to wait; 0 waits without end. It goes on after that."),
]
Numbers = dict[str, int | float | str]


@contextlib.contextmanager
def busy(text: str) -> Iterator[Callable[[str], None]]:
    """On a terminal something turns, beside the text and whatever else is told to it later."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=ERR, disable=not ERR.is_terminal, transient=True) as progress:
        task = progress.add_task(visible(text))
        yield lambda now: progress.update(task, description=visible(now))


def follow(
    client: "StorageClient",
    operation: Operation,
    told: Callable[[Numbers], str],
    *,
    wait: bool,
    timeout_s: float,
    later: str,
    json: bool,
) -> None:
    """Wait for its end and tell what came of it, or tell just the operation.

    `told` makes a line of its result; `later` says how its end can be seen, where this command ends first. Raises OperationFailedError, OperationPendingError.
    """
    ended = _end_of(client, operation, timeout_s, later, json=json) if wait else operation
    if json:
        print_json(ended)
    elif ended.done:
        print_result(told(ended.result or {}))
    else:
        print_table(["operation", "kind", "state"], [[ended.id, ended.kind, "under way"]], empty="")
        ERR.print(later, markup=False, highlight=False)


def _end_of(
    client: "StorageClient", operation: Operation, timeout_s: float, later: str, *, json: bool
) -> Operation:
    try:
        with busy(_state(operation)) as show:
            # With a deadline, be it without end, an outage is waited through.
            return client.wait(
                operation,
                deadline_s=timeout_s if timeout_s > 0 else math.inf,
                progress=lambda now: show(_state(now)),
            )
    except OperationFailedError as error:
        if json:
            print_json(error.operation)
        error.hint = remedy(error.code)
        raise
    except OperationPendingError as error:
        seen = error.operation or operation
        if json:
            print_json(seen)
        error.hint = f"its last try failed: {seen.error.detail}; {later}" if seen.error else later
        raise
    except KeyboardInterrupt:
        ERR.print(f"operation {operation.id} goes on; {later}", markup=False, highlight=False)
        raise


def _state(operation: Operation) -> str:
    numbers = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in (operation.progress or {}).items()
    )
    trouble = f"the last try failed: {operation.error.detail}" if operation.error else ""
    return "; ".join(filter(None, (operation.kind.replace("_", " "), numbers, trouble)))
