"""Refusals of second factors and recovery codes."""

from corekit_auth.errors.base import AuthProblem, Code


class FactorNotFound(AuthProblem):
    """A factor that does not exist, or is somebody else's."""

    slug, status, code, error = "auth-factor-not-found", 404, 104, Code.MFA_FACTOR_NOT_FOUND
    title = "Factor not found"


class FactorNameConflict(AuthProblem):
    """A second factor of this name exists already."""

    slug, status, error = "auth-factor-name-conflict", 422, Code.MFA_FACTOR_NAME_CONFLICT
    title = "A factor with this friendly name already exists for this user"
