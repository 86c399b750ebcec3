"""Roles, from the least to the most, and what each may do in which kind of conversation."""

from corekit.contracts.messaging import ConversationKind, Role

ORDER: tuple[Role, ...] = ("guest", "member", "moderator", "admin", "owner")
INVITES: Role = "admin"
KICKS: Role = "moderator"


def rank(role: Role) -> int:
    """Return a role's place in the order."""
    return ORDER.index(role)


def poster(kind: ConversationKind) -> Role:
    """Return the least role that may send: guests only read, and a channel has few posters."""
    return "moderator" if kind == "channel" else "member"


def may_send(kind: ConversationKind, role: Role) -> bool:
    """Tell whether a role may send in a conversation of this kind."""
    return rank(role) >= rank(poster(kind))
