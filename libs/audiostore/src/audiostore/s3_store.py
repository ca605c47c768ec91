"""`s3://`: Amazon S3 and what speaks its protocol, through obstore.

Owns what is S3's own: 2 KB of metadata, an upload whose SHA-256 the server compares, and servers that know no conditional writes. Such a server
ignores `If-None-Match` and overwrites without a word, so where the endpoint is not Amazon's, each process makes sure before it relies on it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import S3Store as Client

from audiostore.attempts import PATIENCE
from audiostore.errors import AlreadyExistsError, NotFoundError, StoreConfigurationError, StoreError
from audiostore.obstore_client import client_options, no_retries, plain_http
from audiostore.obstore_store import ObstoreStore, Traits

if TYPE_CHECKING:
    from obstore.store import S3Config

    from audiostore.attempts import Attempts, Patience

METADATA_BYTES = 2048  # Amazon: "user-defined metadata is limited to 2 KB in size", keys and values together
_TRAITS = Traits(
    metadata_bytes=METADATA_BYTES,
    hyphen="-",
    reads_back=False,
    refused="the key needs s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on the bucket; also look at the clock",
)
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_CONDITION = "header:If-None-Match:*"


class S3Store(ObstoreStore):
    """Objects in `bucket`, settings from AWS_… in the environment. Raises StoreConfigurationError where they cannot work."""

    lists_from_anywhere = True

    def __init__(self, bucket: str, prefix: str = "", patience: Patience = PATIENCE) -> None:
        super().__init__(connect(bucket), f"s3://{bucket}/{prefix}", prefix, _TRAITS, patience)
        amazon = is_amazon()
        self._refuses_puts = amazon
        """PutObject is known to honour `If-None-Match`."""
        self._refuses_copies: bool | None = amazon or None
        """CopyObject is known to honour it, or not to; None: not known yet."""

    async def _create(self, tries: Attempts, name: str, data: bytes, attributes: dict[str, str]) -> None:
        """See ObstoreStore. The first one of a process looks before, and puts the very same again, which has to be refused."""
        if self._refuses_puts:
            await super()._create(tries, name, data, attributes)
            return
        try:
            await self._look(tries, name)
        except NotFoundError:
            await super()._create(tries, name, data, attributes)
        else:
            raise AlreadyExistsError(f"put {self._url}{name}: the name is taken")
        for _ in range(2):  # twice: somebody may remove the object in between, and then once proves nothing
            try:
                await super()._create(tries, name, data, attributes)
            except AlreadyExistsError:
                self._refuses_puts = True
                return
        raise StoreConfigurationError(
            f"put {self._url}{name}: the server overwrites objects although it was told not to (PutObject with If-None-Match); "
            "Tapedeck needs a server that honours it"
        )

    async def _copy(self, tries: Attempts, source: str, target: str) -> None:
        """See ObstoreStore. Where the server knows no create-only copy, the bytes come here and are put, which it does know."""
        if self._refuses_copies is None:
            self._refuses_copies = await self._refuses_copy_onto_itself(tries, source)
        if self._refuses_copies:
            await super()._copy(tries, source, target)
            return
        data = await self._get(tries, source)
        attributes = dict((await self._look(tries, source)).attributes)
        await self._create(tries, target, data, attributes)

    async def _refuses_copy_onto_itself(self, tries: Attempts, name: str) -> bool:
        """Whether CopyObject honours `If-None-Match`: asked with an object that is there and cannot change by it."""
        try:
            await super()._copy(tries, name, name)
        except AlreadyExistsError:
            return True
        except (NotFoundError, StoreError) as error:
            if isinstance(error, NotFoundError) or error.retryable:
                raise
        return False


def connect(bucket: str) -> Client:
    """A client for the bucket. Raises StoreConfigurationError for settings that cannot work."""
    condition = os.environ.get("AWS_COPY_IF_NOT_EXISTS", _CONDITION)
    if not condition.startswith("header"):
        raise StoreConfigurationError(
            f"open s3://{bucket}: AWS_COPY_IF_NOT_EXISTS={condition[:20]} loses metadata; leave it out, or name a header"
        )
    if bool(os.environ.get("AWS_ACCESS_KEY_ID")) != bool(os.environ.get("AWS_SECRET_ACCESS_KEY")):
        raise StoreConfigurationError(
            f"open s3://{bucket}: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together, and only one is set"
        )
    config: S3Config = {
        "copy_if_not_exists": condition,
        "checksum_algorithm": os.environ.get(
            "AWS_CHECKSUM_ALGORITHM", "sha256"
        ),  # of no cost: the signature needs it too
        "disable_bulk_delete": True,  # one object a call; some servers know no other way
    }
    try:
        return Client(
            bucket,
            config=config,
            client_options=client_options(allow_http=plain_http(_ENDPOINTS)),
            retry_config=no_retries(),
        )
    except (BaseError, ValueError) as error:
        raise StoreConfigurationError(
            f"open s3://{bucket}: the AWS_… settings cannot work ({type(error).__name__}); docs/stores.md lists them"
        ) from None  # the library's text may quote them


def is_amazon() -> bool:
    """Whether the endpoint is Amazon's own, which honours `If-None-Match` on PutObject and CopyObject."""
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    host = urlsplit(endpoint).hostname or ""
    return not endpoint or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
