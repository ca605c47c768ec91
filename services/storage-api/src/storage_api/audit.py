"""The audit lines: one in the log for each write, who did what to which conversation. Never a user's id, a token or audio."""

import hashlib
import logging
from typing import Final

from starlette.requests import Request

from storage_api.access import Actor

log = logging.getLogger(__name__)


HASH_DIGITS: Final = 16


def user_hash(uid: str) -> str:
    """What stands for a user where no conversation is named: the first 16 hex digits of SHA-256 of the id. Who knows the id finds its lines."""
    return hashlib.sha256(uid.encode()).hexdigest()[:HASH_DIGITS]


def audit(request: Request, actor: Actor, action: str, **fields: object) -> None:
    """Says that `actor` did `action` ("flushed") by this request. `fields` say to what; the user is not among them."""
    log.info(
        action,
        extra={
            "audit": True,
            "actor": actor.kind,
            "actor_name": actor.name,
            "operation": request.state.row.operation_id,
            **fields,
        },
    )
