"""Which recording: a user and a conversation of theirs."""

import re
from typing import Final, NamedTuple

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}", re.ASCII)


class Conversation(NamedTuple):
    """A user's id and the id of one recording of theirs, both checked at the door (`servicekit.ids`)."""

    uid: str
    cid: str

    @property
    def tag(self) -> str:
        """`uid/cid`: the hash tag of every key about it, and the member of `due` and `ready`."""
        return f"{self.uid}/{self.cid}"

    @property
    def possible(self) -> bool:
        """Whether both may be ids: a key in Redis may carry any name."""
        return _ID.fullmatch(self.uid) is not None and _ID.fullmatch(self.cid) is not None

    @classmethod
    def from_tag(cls, tag: str | bytes) -> "Conversation":
        """The conversation named `uid/cid`.

        Raises:
            ValueError: not two names with one slash between them.
        """
        text = tag.decode() if isinstance(tag, bytes) else tag
        uid, slash, cid = text.partition("/")
        if not (uid and slash and cid) or "/" in cid:
            raise ValueError(f"{text!r} is not uid/conversation")
        return cls(uid, cid)
