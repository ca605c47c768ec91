"""`az://`: Azure Blob Storage through obstore.

Owns what is Azure's own: metadata keys are identifiers, so an underscore stands for each hyphen; and obstore neither sends a checksum nor shows
the one that Azure answers, so what was written is read again and compared.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import AzureStore as Client

from audiostore.attempts import PATIENCE
from audiostore.errors import StoreConfigurationError
from audiostore.obstore_client import client_options, no_retries, plain_http
from audiostore.obstore_store import ObstoreStore, Traits
from audiostore.store import MAX_METADATA_BYTES

if TYPE_CHECKING:
    from obstore.store import AzureConfig

    from audiostore.attempts import Patience

_TRAITS = Traits(
    metadata_bytes=MAX_METADATA_BYTES,
    hyphen="_",
    reads_back=True,
    refused="the account, key or token is wrong or out of date, or lacks the role Storage Blob Data Contributor; also look at the clock",
)
_ENDPOINTS = ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")


class AzStore(ObstoreStore):
    """Objects in `container`, settings from AZURE_… in the environment. Raises StoreConfigurationError where they cannot work."""

    def __init__(self, container: str, prefix: str = "", patience: Patience = PATIENCE) -> None:
        super().__init__(connect(container), f"az://{container}/{prefix}", prefix, _TRAITS, patience)


def connect(container: str) -> Client:
    """A client for the container. Raises StoreConfigurationError for settings that cannot work."""
    # obstore reads the environment itself, but for the two names that Azure's own tools use.
    config: AzureConfig = {}
    if account := os.environ.get("AZURE_STORAGE_ACCOUNT"):
        config["account_name"] = account
    if key := os.environ.get("AZURE_STORAGE_KEY"):
        config["account_key"] = key
    try:
        return Client(
            container,
            config=config,
            client_options=client_options(allow_http=plain_http(_ENDPOINTS)),
            retry_config=no_retries(),
        )
    except (BaseError, ValueError) as error:
        raise StoreConfigurationError(
            f"open az://{container}: the AZURE_… settings cannot work ({type(error).__name__}); docs/stores.md lists them"
        ) from None  # the library's text may quote them
