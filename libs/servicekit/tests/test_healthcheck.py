"""What Docker asks."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from servicekit.groups import AdminSettings
from servicekit.healthcheck import ADMIN, ready
from tapedeck_testing.free_ports import free_port


@pytest.fixture
def answering():
    """Starts an admin port that answers /readyz so."""
    servers = []

    def start(status: int) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/readyz" else 404)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"0.0.0.0:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "is_ready"), [(200, True), (503, False), (404, False)])
def test_it_is_ready_when_it_says_so(answering, status, is_ready):
    assert ready({"TAPEDECK_ADMIN_BIND": answering(status)}) == is_ready


def test_where_nobody_listens_nothing_is_ready():
    assert not ready({"TAPEDECK_ADMIN_BIND": f"[::1]:{free_port()}"})


def test_where_nothing_is_set_it_asks_where_services_listen():
    assert str(AdminSettings().bind) == ADMIN


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_as_docker_runs_it_behind_a_proxy(answering, status, code):
    nobody = f"http://127.0.0.1:{free_port()}"
    environ = {"TAPEDECK_ADMIN_BIND": answering(status), "http_proxy": nobody, "HTTP_PROXY": nobody}
    command = [sys.executable, "-m", "servicekit.healthcheck"]
    done = subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (code, b"")
