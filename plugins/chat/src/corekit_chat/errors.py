"""Chat's problems; each has a page under `docs/problems/`."""

from corekit.errors import Conflict, NotFound, TooLarge


class NotMember(NotFound):
    """Not, or no longer, a member; a conversation that does not exist answers alike, so nobody learns which it is."""

    slug, code, title = "not-member", 1001, "No such conversation for you"


class MessageTooLarge(TooLarge):
    """The body has more bytes than a message may have."""

    slug, code, title = "too-large", 1005, "The message is too large"


class IdempotencyConflict(Conflict):
    """This `client_id` was used for another message of the same sender in this conversation."""

    slug, code, title = "idempotency-conflict", 1010, "This client_id belongs to another message"
