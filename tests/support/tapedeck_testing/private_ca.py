"""A company's own CA, and a small server over TLS with a certificate of it: on loopback, and believed by nobody who is not told of it."""

import datetime as dt
import ipaddress
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
"""By which the environment of a test may say whom to trust."""


class PrivateCa:
    """A CA in a folder: `ca` is the file of its certificate, `server` that of a server on loopback, with the key."""

    def __init__(self, folder: Path) -> None:
        key, own = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
        self.ca, self.server = folder / "ca.crt", folder / "server.pem"
        self.ca.write_bytes(_certificate("a company's own", key, key))
        private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.server.write_bytes(private + _certificate("localhost", own, key))


@dataclass(slots=True)
class TlsServer:
    """Answers everything with `body` while inside, and notes what was asked for."""

    certificate: Path
    body: bytes = b"{}"
    asked: list[str] = field(default_factory=list)
    """As `GET /path`."""
    refused: threading.Event = field(default_factory=threading.Event)
    """Set once somebody came who does not believe the certificate."""
    url: str = ""
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        told = self

        class Handler(BaseHTTPRequestHandler):
            def setup(self) -> None:
                self.request.do_handshake()  # else who breaks it off looks as one who says nothing
                super().setup()

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                told.asked.append(f"{self.command} {self.path}")
                self.send_response(200)
                self.send_header("Content-Length", str(len(told.body)))
                self.send_header("ETag", '"one"')
                self.send_header("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT")
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(told.body)

            do_HEAD = do_POST = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._server.handle_error = lambda *_: self.refused.set()  # type: ignore[method-assign]
        self.url = f"https://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()


def _certificate(name: str, key: EllipticCurvePrivateKey, signer: EllipticCurvePrivateKey) -> bytes:
    """PEM of a day: of the CA itself where both keys are one, else of a server that it vouches for."""
    now, is_ca = dt.datetime.now(dt.UTC), key is signer
    issuer = "a company's own"
    made = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        made = made.add_extension(usage, critical=False)
    return made.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
