"""`corekit auth …`."""

from corekit_auth.commands.imports import import_supabase
from corekit_auth.commands.keys import keys
from corekit_auth.commands.users import user

__all__ = ["import_supabase", "keys", "user"]
