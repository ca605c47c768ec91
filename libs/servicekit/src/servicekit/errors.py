"""The error tree of servicekit; nothing else.

ServicekitError
├── IdError            a uid, conversation id or other name that is no valid id
├── SettingsError      all mistakes in the settings, together
├── BindError          an address that cannot be listened on
├── KeySourceError     a key file, JWKS document or service token file that cannot be used
├── AuthError          a token that proves nothing (or, `unavailable`: cannot be checked now)
└── ProblemError       a refusal that an HTTP handler raises and the client sees as problem+json (see `problem`)
"""

from collections.abc import Sequence


class ServicekitError(Exception):
    """Whatever servicekit refuses or fails at. `retryable`: whether the same call can succeed later."""

    retryable = False


class IdError(ServicekitError):
    """A text that is no valid id. `kind` says what it was to be ("uid", "conversation_id")."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"{kind} is no valid id: 1 to 128 of A-Z a-z 0-9 . _ @ -, beginning with a letter or digit"
        )
        self.kind = kind


class SettingsError(ServicekitError):
    """The settings are wrong: `mistakes` has one line for each thing to put right, and never a secret."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(("settings are wrong:", *(f"  {mistake}" for mistake in self.mistakes))))


class BindError(ServicekitError):
    """An address could not be bound: it is taken, not ours, or needs rights."""


class KeySourceError(ServicekitError):
    """Keys could not be read: says which file or address, and what is wrong there; never a key."""

    def __init__(self, text: str, *, retryable: bool = False) -> None:
        super().__init__(text)
        self.retryable = retryable


class AuthError(ServicekitError):
    """A token was refused.

    `code` is the public one: `unauthorized`, `token_expired` (401, 4401), or `unavailable` (503, 1013: no key is known
    yet, worth trying again). The text is for logs: it names the check that failed, never the token.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"token refused: {reason}")
        self.code = code
        self.retryable = code == "unavailable"
