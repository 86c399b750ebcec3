"""What auth elevates for: sign-in has no actor yet, and nobody may write these tables as themselves."""

SIGN_IN = "auth.sign-in"
AUTHENTICATE = "auth.authenticate"
KEYS = "auth.keys"
PRUNE = "auth.prune"
ADMIN = "auth.admin"
DIRECTORY = "auth.directory"

PURPOSES = {
    SIGN_IN: "Accounts and sessions are made, checked and ended before, or instead of, an actor of their own.",
    AUTHENTICATE: "Every process learns which sessions have ended and which keys are good.",
    KEYS: "Signing keys and service keys are read, made, moved on and revoked.",
    PRUNE: "What has run out is deleted.",
    ADMIN: "Administrators and services with a key look after everybody's accounts.",
    DIRECTORY: "Other plugins ask which accounts exist; a person may read their own row alone.",
}
