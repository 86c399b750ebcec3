"""`corekit auth …`."""

from corekit_auth.commands.keys import keys
from corekit_auth.commands.users import user

__all__ = ["keys", "user"]
