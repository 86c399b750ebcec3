"""Accounts, sessions and tokens behind the Supabase Auth wire contract.

The names are loaded when they are asked for: `corekit_auth.verifier` serves others without a database.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "AuthPlugin":
        from corekit_auth.plugin import AuthPlugin  # noqa: PLC0415  # see above

        return AuthPlugin
    if name == "AuthSettings":
        from corekit_auth.settings import AuthSettings  # noqa: PLC0415  # see above

        return AuthSettings
    raise AttributeError(name)
