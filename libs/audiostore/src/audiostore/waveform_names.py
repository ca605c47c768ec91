"""Names of kept waveforms: `waveforms/{uid}/{conversation_id}/{file of the audio}.peaks`, or `.peaks.enc` where it is sealed.

Owns that layout. A kept waveform is derived from one object with audio and bears its whole file name, so that two objects never share one.
It is sealed (`sealing`) where its audio is, and where its user is enhanced by now. Whoever deletes an object deletes `waveform_names` of it
too, and after it: whoever makes a waveform puts it, then looks whether its audio is still there, and takes it back where it is not.
"""

from __future__ import annotations

from audiostore import names
from audiostore.legacy import parse_audio_name

ROOT = "waveforms/"
CONTENT_TYPE = "application/octet-stream"
_PLAIN, _SEALED = ".peaks", ".peaks.enc"


def waveform_name(audio: str, *, sealed: bool) -> str:
    """The name of the kept waveform of the object `audio`, which must be below `chunks/`."""
    return ROOT + audio.removeprefix(names.ROOT) + (_SEALED if sealed else _PLAIN)


def waveform_names(audio: str) -> tuple[str, str]:
    """Every name that a waveform of the object `audio` may be kept under."""
    return waveform_name(audio, sealed=False), waveform_name(audio, sealed=True)


def audio_name(waveform: str) -> str | None:
    """The name of the object whose waveform is kept under this name; None for a name that is none of these."""
    if not waveform.startswith(ROOT):
        return None
    for suffix in (_SEALED, _PLAIN):
        if waveform.endswith(suffix):
            audio = names.ROOT + waveform.removeprefix(ROOT).removesuffix(suffix)
            return audio if parse_audio_name(audio) is not None else None
    return None


def user_waveforms(uid: str) -> str:
    """`waveforms/{uid}/`: what all that is kept of a user's audio begins with. Raises BadNameError."""
    return ROOT + names.user_prefix(uid).removeprefix(names.ROOT)


def conversation_waveforms(uid: str, conversation_id: str) -> str:
    """`waveforms/{uid}/{conversation_id}/`. Raises BadNameError."""
    return ROOT + names.conversation_prefix(uid, conversation_id).removeprefix(names.ROOT)
