from corekit_auth.plugin import AuthPlugin as AuthPlugin
from corekit_auth.settings import AuthSettings as AuthSettings

__all__ = ["AuthPlugin", "AuthSettings"]
