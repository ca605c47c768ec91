"""The errors of the pusher, one tree.

PusherError
├── KeptBackError           a key is missing: the audio stays where it is until an operator acts
│   ├── NoKeyError          it must be sealed, and there is no key, or no way that this build knows
│   └── CannotTellError     an object in the way can only be opened with a key that is not there, or not the right one
├── BucketAwayError         no bucket may be asked at the moment: nothing failed, and it is tried again soon
├── DamagedError            a batch of the second bucket cannot be moved home before somebody has seen to an object
├── UnsealedError           a defect: the object must be sealed and is not; it was not put
├── DefectError             a defect: this build makes no files at all; everything waits
└── BuildError              entries that cannot become a file, although each of them parses
    └── ObjectTooLargeError their file is larger than any store takes

Errors of Redis and of the bucket come as `audiobus` and `audiostore` raise them.
"""


class PusherError(Exception):
    """The root. `retryable`: whether the same work can succeed later without anybody's doing."""

    retryable = False


class KeptBackError(PusherError):
    """Nothing was put. The text says which key is missing and what to do; it names no user and no conversation."""


class NoKeyError(KeptBackError):
    """The batch must not be put in the clear, and nothing is there to seal it with."""


class CannotTellError(KeptBackError):
    """Whether this audio lies in the bucket already cannot be known without that key: it is neither stored again, nor moved, nor given up."""


class BucketAwayError(PusherError):
    """The circuit of every bucket that could take the batch has opened meanwhile."""

    retryable = True


class DamagedError(PusherError):
    """An object looks damaged, and nothing is done for that: the same look may find it whole. The text names its bucket, and says what to do."""


class UnsealedError(PusherError):
    """The last look before the put found a file in the clear where a sealed one must be."""


class DefectError(PusherError):
    """This build makes no file of whatever entries: none of them is to blame, and all of them wait for another build."""


class BuildError(PusherError):
    """No file can be made of these entries; the text names structure and defect."""


class ObjectTooLargeError(BuildError):
    """One of fewer entries may be small enough."""
