"""Which system a command speaks to, as whom: options, else the environment, else the ready file.

Must not do: connect to anything.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tapedeck import ready_file, tokens
from tapedeck.errors import SystemNotFoundError, UsageError

DEFAULT_USER = "demo"


@dataclass(frozen=True, slots=True)
class System:
    """Finds addresses and tokens. What is given wins over the environment, and that over the ready file."""

    url: str | None = None
    token: str | None = None
    user: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def __post_init__(self) -> None:
        """Raises UsageError for a user of no name: who meant one must not act for another."""
        if self.user == "":
            raise UsageError("--user is empty", hint="leave it out to act for the user of the token")

    @property
    def listen_url(self) -> str:
        """ws://…; raises SystemNotFoundError."""
        return self.url or self.environ.get("TAPEDECK_LISTEN_URL") or self._ready().listen

    @property
    def storage_url(self) -> str:
        """http://…; raises SystemNotFoundError."""
        return self.url or self.environ.get("TAPEDECK_STORAGE_URL") or self._ready().storage_api

    @property
    def uid(self) -> str:
        """The user that is meant: the one that was named, else the token's own, else `demo`.

        Raises TokenError for a user token that names none.
        """
        return self.told_uid or DEFAULT_USER

    @property
    def told_uid(self) -> str | None:
        """The same; None where neither an option nor the token tells of a user. Raises as `uid` does."""
        if self.user:
            return tokens.named_uid(self.user)
        given = self._given_token()
        return tokens.subject(given, self._uid_claim) if given else None

    def user_token(self, *, lifetime_s: int = tokens.DEFAULT_LIFETIME_S) -> str:
        """A token to record with: the given one, else one minted for the user. Raises SystemNotFoundError, TokenError."""
        given = self._given_token()
        if given:
            return given
        secret, user = self._ready().jwt_secret, self.user or DEFAULT_USER
        return tokens.mint(secret, user, now_s=int(time.time()), lifetime_s=lifetime_s, claim=self._uid_claim)

    def reading_token(self) -> str:
        """A token to read with: the given one, else the ready file's service token, else one minted for the user."""
        return self._given_token() or self._ready().service_token or self.user_token()

    @property
    def _uid_claim(self) -> str:
        return tokens.uid_claim(self.environ)

    def _given_token(self) -> str | None:
        return self.token or self.environ.get("TAPEDECK_TOKEN") or None

    def _ready(self) -> ready_file.Ready:
        path = Path(self.environ.get("TAPEDECK_READY_FILE") or ready_file.DEFAULT_PATH)
        try:
            return ready_file.read(path)
        except SystemNotFoundError as error:
            if self.url is None:
                raise
            raise SystemNotFoundError(
                f"there is no token for {self.url}", hint="give one with --token or TAPEDECK_TOKEN"
            ) from error
