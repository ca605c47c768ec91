"""Why a socket is closed: the codes of the protocol page, and of RFC 6455 §7.4. Values, and nothing else."""

from typing import Final

DONE: Final = 1000
"""The client asked for the end, and everything is safe."""
PROTOCOL_ERROR: Final = 1002
NOT_SUPPORTED: Final = 1003
"""A codec or a rate that nobody here takes."""
LEFT: Final = 1006
"""Never sent: the client has left, or is cut off."""
BAD_DATA: Final = 1007
"""Text that is no UTF-8, or too much audio that is none."""
TOO_BIG: Final = 1009
DEFECT: Final = 1011
"""Our fault."""
RESTART: Final = 1012
"""This process is about to end, as was announced."""
TRY_LATER: Final = 1013
BAD_PARAMETER: Final = 4400
UNAUTHORIZED: Final = 4401
FORBIDDEN: Final = 4403
DELETED: Final = 4404
"""The conversation is."""
REPLACED: Final = 4409
"""A newer session has the conversation, or it is being merged."""
SPENT: Final = 4429
"""The daily limit is used up, or too much was asked for."""

ALL: Final = (
    *(DONE, PROTOCOL_ERROR, NOT_SUPPORTED, LEFT, BAD_DATA, TOO_BIG, DEFECT, RESTART, TRY_LATER),
    *(BAD_PARAMETER, UNAUTHORIZED, FORBIDDEN, DELETED, REPLACED, SPENT),
)
OF_STATUS: Final = {400: BAD_PARAMETER, 401: UNAUTHORIZED, 403: FORBIDDEN, 429: SPENT, 503: TRY_LATER}
"""For who sees only WebSockets: what stands for an HTTP status."""
