"""`corekit auth …`."""

from corekit_auth.commands.keys import keys

__all__ = ["keys"]
