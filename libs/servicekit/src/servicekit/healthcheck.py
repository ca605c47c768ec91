"""`python -m servicekit.healthcheck`: asks the service in this container whether it is ready. For Docker, which has no probes over HTTP of its own.

Must not go through a proxy: where Docker is told of one, every container has it in its environment.
"""

import os
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlsplit

from servicekit.bind import Bind

ADMIN: Final = "0.0.0.0:9090"
"""As `AdminSettings` has it: that module takes longer to import than all of this."""
PATIENCE_S: Final = 3.0


def ready(environ: Mapping[str, str]) -> bool:
    """Whether `/readyz` of a service with this environment answers 200 within PATIENCE_S. ValueError: it has no such address."""
    address = urlsplit(Bind.parse(environ.get("TAPEDECK_ADMIN_BIND", ADMIN)).url())
    connection = HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):  # not there yet, or no more
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not ready(os.environ))
