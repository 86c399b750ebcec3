"""Refusals of social login and of identities."""

from corekit_auth.errors.base import AuthProblem, Code


class UnsupportedProvider(AuthProblem):
    """A provider that is not set up here."""

    slug, status, error = "auth-unsupported-provider", 400, Code.VALIDATION_FAILED
    title = "provider: Unsupported provider: provider is not enabled"


class ProviderDisabled(AuthProblem):
    """An id_token of a provider that is not set up here, or that issues none."""

    slug, status, title, error = "auth-provider-disabled", 400, "Provider is not enabled", Code.PROVIDER_DISABLED


class ProviderUnreachable(AuthProblem):
    """The provider does not answer, or not as the protocol has it."""

    slug, status, code, temporary = "auth-provider-unreachable", 503, 100, True
    title, error = "The provider does not answer", Code.UNEXPECTED_FAILURE


class BadOauthState(AuthProblem):
    """A return from a provider that nobody began here, or that was used or is too late."""

    slug, status, error = "auth-bad-oauth-state", 400, Code.BAD_OAUTH_STATE
    title = "OAuth state is unknown, was used or has expired"


class BadOauthCallback(AuthProblem):
    """A return from a provider that brings nobody: it refused, or what it says does not hold."""

    slug, status, error = "auth-bad-oauth-callback", 400, Code.BAD_OAUTH_CALLBACK
    title = "The provider did not confirm the sign-in"


class BadIdToken(AuthProblem):
    """An id_token that is forged, of somebody else, at its end, or not the one that was asked for."""

    slug, status, title, error = "auth-bad-id-token", 400, "Bad ID token", Code.VALIDATION_FAILED


class UnexpectedAudience(AuthProblem):
    """An id_token that was made for another application."""

    slug, status, error = "auth-unexpected-audience", 400, Code.UNEXPECTED_AUDIENCE
    title = "Unacceptable audience in id_token"


class UnverifiedAtProvider(AuthProblem):
    """An address that the provider has not verified: nobody gets an account with it."""

    slug, status, error = "auth-unverified-at-provider", 422, Code.PROVIDER_EMAIL_NEEDS_VERIFICATION
    title = "The provider has not verified this email address"


class IdentityAlreadyExists(AuthProblem):
    """An account elsewhere that is linked here already."""

    slug, status, error = "auth-identity-already-exists", 422, Code.IDENTITY_ALREADY_EXISTS
    title = "Identity is already linked"


class IdentityNotFound(AuthProblem):
    """No such identity of one's own."""

    slug, status, title, error = "auth-identity-not-found", 422, "Identity doesn't exist", Code.IDENTITY_NOT_FOUND


class SingleIdentity(AuthProblem):
    """The last way in which a person is known."""

    slug, status, error = "auth-single-identity", 422, Code.SINGLE_IDENTITY_NOT_DELETABLE
    title = "User must have at least 1 identity after unlinking"


class ManualLinkingDisabled(AuthProblem):
    """Linking by hand, where it is off."""

    slug, status, error = "auth-manual-linking-disabled", 404, Code.MANUAL_LINKING_DISABLED
    title = "Manual linking is disabled"
