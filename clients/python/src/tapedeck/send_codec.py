"""What goes over the wire of what `tapedeck send` reads."""

from typing import Literal

SendCodec = Literal["pcm16", "opus", "aac"]
