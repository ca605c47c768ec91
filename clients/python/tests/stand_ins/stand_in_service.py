"""A child process for tests of the supervisor: answers /readyz, notes its environment and its end."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

notes = Path(os.environ["STAND_IN_NOTES"])
name = os.environ["TAPEDECK_ADMIN_BIND"].replace(":", "-")


def note(event: str) -> None:
    with (notes / "events").open("a") as file:
        file.write(json.dumps({"event": event, "pid": os.getpid(), "name": name}) + "\n")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/metrics":
            text = "# HELP tapedeck_x_total x\n# TYPE tapedeck_x_total counter\ntapedeck_x_total 1.5\n"
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())
            return
        self.send_response(503 if asked_for("STAND_IN_MUTE") else 200)
        self.end_headers()
        self.wfile.write(b"ready\n")

    def log_message(self, *_: object) -> None:
        pass


def on_term(number: int, frame: object) -> None:
    if "STAND_IN_STUBBORN" not in os.environ:
        note("term")
        os._exit(0)


def asked_for(fault: str) -> bool:
    """Whether this process shall have the fault: `1` means all, else the name of a setting that only its component has."""
    which = os.environ.get(fault, "")
    return which == "1" or which in os.environ


if asked_for("STAND_IN_MUTE"):
    sys.stderr.write("not ready yet\n")
    sys.stderr.flush()
signal.signal(signal.SIGUSR1, lambda *_: os._exit(2))
if asked_for("STAND_IN_WRONG_SETTINGS"):
    sys.stderr.write("TAPEDECK_CHUNK_MS: must be a number\n")
    sys.exit(2)
if asked_for("STAND_IN_BROKEN"):
    failed = {"message": "the process failed", "exception": "Traceback:\n  File x\nError: no libopus"}
    sys.stderr.write(json.dumps(failed) + "\n")
    sys.exit(1)
signal.signal(signal.SIGTERM, on_term)
(notes / f"environ-{name}").write_text(json.dumps(dict(os.environ)))
note("start")
host, _, port = os.environ["TAPEDECK_ADMIN_BIND"].rpartition(":")
ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
