"""`GET /v1/operations/{id}`: how far an operation is."""

from starlette.requests import Request
from starlette.responses import Response

from audiobus.operations import find
from servicekit.problem import ProblemError
from storage_api import wire
from storage_api.parameters import path_id
from storage_api.redis_needed import redis_needed
from storage_api.services import Services
from storage_api.wire_operations import operation


async def one_operation(request: Request) -> Response:
    """To its user, and to services that may read audio."""
    services = Services.of(request)
    _, uid = await services.access.identify(request, "audio:read", "audio:write")
    operation_id = path_id("the operation's id", request.path_params["id"])
    with redis_needed("operations cannot be reached at the moment; try again"):
        found = await find(services.bus, operation_id)
    if found is None or uid not in (None, found.uid):
        raise ProblemError(404, "not_found", "no such operation, or it was done more than a week ago")
    return wire.json_response(operation(found))
