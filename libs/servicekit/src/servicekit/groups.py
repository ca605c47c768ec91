"""The groups of settings that services share. Each service includes those it needs; nobody reads a variable by hand.

Owns the variables' names (docs/settings.md is generated from them) and what concerns several of them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec

from servicekit.bind import Bind
from servicekit.errors import KeySourceError
from servicekit.keys import public_key
from servicekit.parsers import existing_file, key_prefix, key_url, number, one_of, text, url, whole
from servicekit.secret import Secret
from servicekit.settings import Setting

MIN_SECRET_BYTES: Final = 32  # HS256 wants a key at least as long as its hash (RFC 7518 §3.2)

STORE_SCHEMES: Final = ("gs", "s3", "az", "file", "memory")


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where Redis is, and how carefully to write to it."""

    url: Annotated[
        str,
        Setting(
            "TAPEDECK_REDIS_URL",
            url(
                "redis",
                "rediss",
                "redis+cluster",
                "rediss+cluster",
                "redis+sentinel",
                "rediss+sentinel",
                "unix",
            ),
            "Redis: redis://, rediss://, redis+cluster://host,host or redis+sentinel://host,host/service (docs/redis.md)",
            secret=True,
        ),
    ]
    prefix: Annotated[
        str, Setting("TAPEDECK_REDIS_PREFIX", key_prefix, "what every key begins with, up to 64 characters")
    ] = "td:"
    partitions: Annotated[
        int | None,
        Setting(
            "TAPEDECK_REDIS_PARTITIONS",
            whole(1, 1024),
            "partitions of the due and ready lists; without it 1, on a cluster 16",
        ),
    ] = None
    wait_replicas: Annotated[
        int,
        Setting(
            "TAPEDECK_REDIS_WAIT_REPLICAS",
            whole(0, 16),
            "replicas that must have a write that others rely on before it counts (docs/redis.md)",
        ),
    ] = 0


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the audio is kept for good."""

    url: Annotated[
        str,
        Setting(
            "TAPEDECK_STORE_URL",
            url(*STORE_SCHEMES),
            "the bucket: gs://, s3:// or az://bucket/prefix, file:///directory, memory:",
        ),
    ]
    fallback_url: Annotated[
        str | None,
        Setting(
            "TAPEDECK_FALLBACK_STORE_URL",
            url(*STORE_SCHEMES),
            "a second bucket for when the first is away; pusher and storage-api need the same",
        ),
    ] = None

    def addresses(self, unknown: frozenset[str]) -> dict[str, str | None]:
        """Both by the variable they come from, for `audiostore.opening.wrong_addresses`; without those that a service does not know (`store.url`)."""
        both = {
            "store.url": ("TAPEDECK_STORE_URL", self.url),
            "store.fallback_url": ("TAPEDECK_FALLBACK_STORE_URL", self.fallback_url),
        }
        return dict(variable for name, variable in both.items() if name not in unknown)

    def mistakes(self, unknown: frozenset[str]) -> Iterator[str]:
        """One bucket under both names: what is moved home would be deleted there."""
        if (
            not unknown
            and self.fallback_url is not None
            and self.fallback_url.rstrip("/") == self.url.rstrip("/")
        ):
            yield "TAPEDECK_FALLBACK_STORE_URL is TAPEDECK_STORE_URL: the second bucket must be another one"


class EncryptionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of sealed objects. What a ring looks like is audiostore's to know: services check it with `audiostore.key_ring`."""

    keys: Annotated[
        Secret | None,
        Setting(
            "TAPEDECK_ENCRYPTION_KEYS",
            Secret,
            "keys of sealed objects, id:base64,id:base64: the first seals, all open",
            secret=True,
        ),
    ] = None
    keys_file: Annotated[
        Path | None,
        Setting(
            "TAPEDECK_ENCRYPTION_KEYS_FILE",
            existing_file,
            "a file with those keys instead; read again when it changes",
        ),
    ] = None
    legacy_secret: Annotated[
        Secret | None,
        Setting(
            "TAPEDECK_LEGACY_SECRET",
            Secret,
            "the secret that older sealed objects were made with: opens them, and seals what is left of one that is cut",
            secret=True,
        ),
    ] = None

    @property
    def keys_text(self) -> str | None:
        """The text of the ring itself, for `audiostore.key_ring.KeySource`."""
        return self.keys.reveal() if self.keys else None

    @property
    def keys_variable(self) -> str:
        """The variable that the ring comes from, for what is said about it."""
        return "TAPEDECK_ENCRYPTION_KEYS_FILE" if self.keys_file else "TAPEDECK_ENCRYPTION_KEYS"

    def mistakes(self, unknown: frozenset[str]) -> Iterator[str]:
        """Two sources of keys: nobody could say which one is meant."""
        if not unknown and self.keys is not None and self.keys_file is not None:
            yield (
                "TAPEDECK_ENCRYPTION_KEYS and TAPEDECK_ENCRYPTION_KEYS_FILE are set: the keys have one source, set one of them"
            )


class AdminSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The admin port, which every service has."""

    bind: Annotated[
        Bind,
        Setting(
            "TAPEDECK_ADMIN_BIND",
            Bind.parse,
            "host:port of health and metrics; not for the public",
            default_in_dev=Bind("127.0.0.1", 9090),
        ),
    ] = Bind("0.0.0.0", 9090)  # noqa: S104 - probes and Prometheus come from other machines


def same_address(variable: str, bind: Bind, admin: AdminSettings) -> Iterator[str]:
    """What is wrong where a service has its public port, named by its variable, where it has its admin port."""
    if bind.overlaps(admin.bind):
        yield f"{variable} ({bind}) and TAPEDECK_ADMIN_BIND ({admin.bind}) are one address: give each a port of its own"


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a process ends and how much it tells."""

    drain_seconds: Annotated[
        float, Setting("TAPEDECK_DRAIN_SECONDS", number(0, 3600), "seconds that SIGTERM may take")
    ] = 25.0
    log_level: Annotated[
        str, Setting("TAPEDECK_LOG_LEVEL", one_of("debug", "info", "warning", "error"), "what is logged")
    ] = "info"


class TraceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where traces go. OpenTelemetry's SDK reads its other variables (`OTEL_…`) itself, once this one is set."""

    endpoint: Annotated[
        str | None,
        Setting(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            url("http", "https"),
            "where spans of sessions, batches and requests go, over OTLP/HTTP; without it there are none (docs/traces.md)",
        ),
    ] = None


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to believe. Without a key for user tokens a service refuses to start."""

    mode: Annotated[
        str,
        Setting(
            "TAPEDECK_AUTH", one_of("jwt", "dev"), "jwt; or dev: a shared secret, and loopback addresses only"
        ),
    ] = "jwt"
    jwks_url: Annotated[
        str | None, Setting("TAPEDECK_JWT_JWKS_URL", key_url, "the JWKS with the public keys of user tokens")
    ] = None
    public_key_file: Annotated[
        Path | None,
        Setting(
            "TAPEDECK_JWT_PUBLIC_KEY_FILE", existing_file, "a PEM file with the public key of user tokens"
        ),
    ] = None
    secret_file: Annotated[
        Path | None,
        Setting(
            "TAPEDECK_JWT_SECRET_FILE", existing_file, "a file with the shared secret of HS256 user tokens"
        ),
    ] = None
    issuer: Annotated[
        str | None, Setting("TAPEDECK_JWT_ISSUER", text, "the `iss` that user tokens must have")
    ] = None
    audience: Annotated[
        str | None, Setting("TAPEDECK_JWT_AUDIENCE", text, "the `aud` that user tokens must have")
    ] = None
    uid_claim: Annotated[str, Setting("TAPEDECK_JWT_UID_CLAIM", text, "the claim that names the user")] = (
        "sub"
    )
    leeway_seconds: Annotated[
        float,
        Setting(
            "TAPEDECK_JWT_LEEWAY_SECONDS",
            number(0, 300),
            "seconds that clocks may differ when a token is verified; what is open ends at `exp` itself",
        ),
    ] = 2.0

    def mistakes(self, unknown: frozenset[str]) -> Iterator[str]:
        """What is wrong between the fields: no key, several keys, a secret too short to be one.

        A key whose setting is wrong, named in `unknown`, is not missing too.
        """
        sources = {
            "TAPEDECK_JWT_JWKS_URL": self.jwks_url,
            "TAPEDECK_JWT_PUBLIC_KEY_FILE": self.public_key_file,
            "TAPEDECK_JWT_SECRET_FILE": self.secret_file,
        }
        given = [name for name, value in sources.items() if value is not None]
        if len(given) > 1:
            yield f"{' and '.join(given)} are set: user tokens have one source of keys, set one of them"
        if self.mode == "dev" and self.secret_file is None and "secret_file" not in unknown:
            yield "TAPEDECK_AUTH=dev needs TAPEDECK_JWT_SECRET_FILE, the secret that tokens are signed with"
        elif not given and unknown.isdisjoint({"jwks_url", "public_key_file", "secret_file"}):
            yield (
                f"no key for user tokens: set one of {', '.join(sources)}"
                " (or, to try things out on this machine, TAPEDECK_AUTH=dev and TAPEDECK_JWT_SECRET_FILE)"
            )
        if self.secret_file is not None and len(read_secret(self.secret_file)) < MIN_SECRET_BYTES:
            yield f"TAPEDECK_JWT_SECRET_FILE must hold at least {MIN_SECRET_BYTES} bytes ({self.secret_file})"
        if self.public_key_file is not None:
            yield from _unusable(
                "TAPEDECK_JWT_PUBLIC_KEY_FILE",
                lambda path: public_key(path.read_bytes(), str(path)),
                self.public_key_file,
            )


class ApiAuthSettings(AuthSettings, frozen=True, kw_only=True):
    """Whom a service believes that other services call too."""

    service_tokens_file: Annotated[
        Path | None,
        Setting(
            "TAPEDECK_SERVICE_TOKENS_FILE",
            existing_file,
            'a JSON list of {"name","sha256","scopes"}; read again when it changes',
        ),
    ] = None

    def mistakes(self, unknown: frozenset[str]) -> Iterator[str]:
        """Those of user tokens, and a file of service tokens that is none."""
        yield from super().mistakes(unknown)
        if self.service_tokens_file is not None:
            from servicekit.service_tokens import ServiceTokens  # noqa: PLC0415 - it needs these settings itself

            yield from _unusable("TAPEDECK_SERVICE_TOKENS_FILE", ServiceTokens, self.service_tokens_file)


def _unusable(variable: str, read: Callable[[Path], object], path: Path) -> Iterator[str]:
    """Why a file cannot be used for what it is to hold, if it cannot."""
    try:
        read(path)
    except KeySourceError as error:
        yield f"{variable}: {error}"


def read_secret(path: Path) -> bytes:
    """The secret in a file: its bytes without white space around them. Whoever signs must read it the same way."""
    return path.read_bytes().strip()
