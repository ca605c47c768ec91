"""The errors of the pusher, one tree.

PusherError
├── SealingNotBuiltError    the user's audio must be sealed, which this build cannot do: it waits
└── BuildError              entries that cannot become a file, although each of them parses

Errors of Redis and of the bucket come as `audiobus` and `audiostore` raise them.
"""


class PusherError(Exception):
    """The root. `retryable`: whether the same work can succeed later without anybody's doing."""

    retryable = False


class SealingNotBuiltError(PusherError):
    """The batch must not be put in the clear. It waits in Redis for a build that can seal."""


class BuildError(PusherError):
    """No file can be made of these entries; the text names structure and defect."""
