"""What auth elevates for: sign-in has no actor yet, and nobody may write these tables as themselves."""

SIGN_IN = "auth.sign-in"
AUTHENTICATE = "auth.authenticate"
KEYS = "auth.keys"
PRUNE = "auth.prune"
DIRECTORY = "auth.directory"
SEND_CODE = "auth.send-code"
IMPORT = "auth.import"

PURPOSES = {
    SIGN_IN: "Accounts and sessions are made, checked and ended before, or instead of, an actor of their own.",
    AUTHENTICATE: "Every process learns which sessions have ended.",
    KEYS: "Signing keys are read, and made where none exists.",
    PRUNE: "What has run out is deleted.",
    SEND_CODE: "A code is made by the job that sends it, for an address of which the request knew nothing.",
    IMPORT: "An operator takes over the accounts of another server.",
    DIRECTORY: "Other plugins ask which accounts exist; a person may read their own row alone.",
}
