"""Refusals of administrators' routes, and of lists of one's own sessions."""

from corekit_auth.errors.base import AuthProblem, Code


class NoSuchUser(AuthProblem):
    """An administrator names an account that does not exist."""

    slug, status, code, title, error = "auth-no-such-user", 404, 104, "User not found", Code.USER_NOT_FOUND


class NoSuchPasskey(AuthProblem):
    """An administrator names a passkey that this account does not have."""

    slug, status, code, title, error = "auth-no-such-passkey", 404, 104, "Passkey not found", Code.VALIDATION_FAILED


class NoSuchSession(AuthProblem):
    """Somebody names a session that is not one of theirs, or that has ended."""

    slug, status, code, title, error = "auth-no-such-session", 404, 104, "Session not found", Code.SESSION_NOT_FOUND


class PhoneExists(AuthProblem):
    """The number belongs to another account."""

    slug, status, error = "auth-phone-exists", 422, Code.PHONE_EXISTS
    title = "A user with this phone number has already been registered"


class UserIdTaken(AuthProblem):
    """The id that an administrator wants for an account belongs to another."""

    slug, status, code, title, error = "auth-user-id-taken", 409, 107, "A user with this id exists", Code.CONFLICT
