"""Refusals of keys, and of hooks that take too long."""

from corekit_auth.errors.base import AuthProblem, Code


class KeyNotFound(AuthProblem):
    """A signing or service key that does not exist."""

    slug, status, code, title, error = "auth-key-not-found", 404, 104, "There is no such key", Code.VALIDATION_FAILED


class HookTimeout(AuthProblem):
    """Somebody else's hook took too long."""

    slug, status, code, temporary = "auth-hook-timeout", 422, 100, True
    title, error = "Failed to reach hook within maximum time", Code.HOOK_TIMEOUT


class HookTimeoutAtRefresh(AuthProblem):
    """The same, on a refresh: there any other status would sign the client out."""

    slug, status, code, temporary = "auth-hook-timeout-at-refresh", 503, 100, True
    title, error = "Failed to reach hook within maximum time", Code.HOOK_TIMEOUT
