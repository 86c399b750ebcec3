"""What the nouns of auth are made of: each takes what it needs from here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from corekit.context import Kit
from corekit_auth.codes import Codes
from corekit_auth.devices import Devices
from corekit_auth.failures import Failures
from corekit_auth.flows import Flows
from corekit_auth.freshness import Freshness
from corekit_auth.hashing import Hasher
from corekit_auth.keys import Keys
from corekit_auth.passwords import PasswordRules
from corekit_auth.records import Records
from corekit_auth.redirects import Redirects
from corekit_auth.revocations import Revocations
from corekit_auth.sessions import Sessions
from corekit_auth.settings import AuthSettings
from corekit_auth.throttle import Throttle
from corekit_auth.tokens import Tokens
from corekit_auth.users import Users


@dataclass(frozen=True)
class Parts:
    """One of each, for one kit."""

    kit: Kit
    settings: AuthSettings
    codes: Codes
    devices: Devices
    failures: Failures
    flows: Flows
    freshness: Freshness
    hasher: Hasher
    keys: Keys
    records: Records
    redirects: Redirects
    revocations: Revocations
    rules: PasswordRules
    send_code: Callable[..., Awaitable[None]]  # the job
    sessions: Sessions
    throttle: Throttle
    tokens: Tokens
    users: Users

    @classmethod
    def of(
        cls,
        kit: Kit,
        settings: AuthSettings,
        *,
        keys: Keys,
        hasher: Hasher,
        revocations: Revocations,
        send_code: Callable[..., Awaitable[None]],
    ) -> "Parts":
        """Make them."""
        devices = Devices(settings)
        return cls(
            kit=kit,
            settings=settings,
            codes=Codes(settings),
            devices=devices,
            failures=Failures(settings),
            flows=Flows(settings),
            freshness=Freshness(settings),
            hasher=hasher,
            keys=keys,
            records=Records(),
            redirects=Redirects(settings),
            revocations=revocations,
            rules=PasswordRules(settings),
            send_code=send_code,
            sessions=Sessions(revocations, devices, single=settings.single_session),
            throttle=Throttle(settings),
            tokens=Tokens(settings, keys),
            users=Users(settings),
        )
