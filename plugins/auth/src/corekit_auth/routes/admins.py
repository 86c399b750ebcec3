"""Who asks on an administrator's route."""

from corekit.context import Caller
from corekit_auth.errors import AuthProblem
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.user import bearer_of
from corekit_auth.service import AuthService


async def admin(request: Asked, caller: Caller) -> Caller:
    """Return the caller elevated for `auth.admin`, `on_behalf_of` the person or the service key that was shown.

    Raises:
        NoAuthorization: neither bearer nor `apikey`.
        BadJwt: neither is good.
        NotAdmin: somebody else's.

    """
    bearer, apikey = bearer_of(request), request.headers.get("apikey", "").strip()
    return await caller.kit.get(AuthService).admission.admin(caller, bearer=bearer, apikey=apikey)


async def is_admin(request: Asked, caller: Caller) -> bool:
    """Tell whether an administrator or a service asks, on a route that is open to everybody."""
    try:
        await admin(request, caller)
    except AuthProblem:
        return False
    return True
