"""Servers and keys for the tests: real ones, on loopback, each with a port that the kernel chose."""

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager

import jwt
import pytest
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from servicekit.bind import Bind, bind_socket, bound_to
from servicekit.groups import AuthSettings
from servicekit.http import serving
from tapedeck_testing.free_ports import free_port


def pytest_asyncio_loop_factories(config, item):
    """The event loop that services run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def bound():
    """A socket on a free port of loopback, not listening yet."""
    return bind_socket(Bind("127.0.0.1", 0))


@pytest.fixture
def served():
    """`async with served(app) as url:` a server for an ASGI app."""

    @asynccontextmanager
    async def run(app, **options):
        bound = bind_socket(Bind("127.0.0.1", 0))
        url = bound_to(bound).url()
        async with serving(app, bound, **options):
            yield url

    return run


@pytest.fixture
def eventually():
    """`await eventually(condition)`: true within a minute, or the test fails."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="session")
def ed_key():
    return ed25519.Ed25519PrivateKey.generate()


@pytest.fixture(scope="session")
def pem():
    """The PEM file of a key's public half."""
    return lambda key: key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="session")
def jwk():
    """The JWK of a key's public half, with further members."""

    def make(key, **members):
        kind = {
            rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
            ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
            ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
        }
        algorithm = next(made for of, made in kind.items() if isinstance(key, of))
        return {**json.loads(algorithm.to_jwk(key.public_key())), **members}

    return make


@pytest.fixture
def secret_settings(tmp_path):
    """AuthSettings with a shared secret, and what else is given."""
    path = tmp_path / "secret"
    path.write_bytes(b"0123456789abcdef0123456789abcdef\n")
    return lambda **more: AuthSettings(secret_file=path, **more)


@pytest.fixture
def secret():
    """The secret of `secret_settings`."""
    return b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def closed_port():
    """A port of loopback where nobody listens."""
    return free_port()
