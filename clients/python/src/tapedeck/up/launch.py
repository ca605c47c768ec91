"""A program that becomes another one, which dies with its parent: `launch.py SIGNAL PARENT-PID COMMAND…`.

Run as a file by a bare interpreter (-I -S), so that it costs a few milliseconds; imports nothing of ours. On other
systems than Linux there is no such signal, and the command is just run.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # prctl(2); survives execve


def main(arguments: list[str]) -> None:
    """Ask for the signal, make sure that the parent still lives, become the command."""
    signal, parent, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(1)  # it died before we asked
    os.execvp(command[0], command)  # noqa: S606 - the supervisor's own command, no shell wanted


if __name__ == "__main__":
    main(sys.argv[1:])
