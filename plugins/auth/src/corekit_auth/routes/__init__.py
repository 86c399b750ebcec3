"""`/auth/v1`: the Supabase Auth (GoTrue) protocol."""

from collections.abc import Sequence

from litestar import Router

from corekit.web import public
from corekit_auth.routes.about import AboutController
from corekit_auth.routes.admin import AdminController
from corekit_auth.routes.admin_audit import AdminAuditController
from corekit_auth.routes.admin_factors import AdminFactorController
from corekit_auth.routes.admin_links import AdminLinkController
from corekit_auth.routes.codes import CodesController
from corekit_auth.routes.deadline import Deadline
from corekit_auth.routes.envelope import HANDLERS
from corekit_auth.routes.events import EventController
from corekit_auth.routes.factors import FactorsController
from corekit_auth.routes.others import others
from corekit_auth.routes.outbox import OutboxController
from corekit_auth.routes.passkeys import PasskeysController
from corekit_auth.routes.sessions import SessionController
from corekit_auth.routes.sign_in import SignInController
from corekit_auth.routes.social import IdentitiesController, SocialController
from corekit_auth.routes.user import UserController
from corekit_auth.routes.well_known import WellKnownController
from corekit_auth.settings import AuthSettings

_BODY_MAX = 1 << 20


def routes(settings: AuthSettings) -> Sequence[Router]:
    """Make the routes; they read the bearer themselves, since this protocol answers a bad one in its own way."""
    return [
        Router(
            settings.prefix or "/",
            route_handlers=[
                AboutController,
                AdminAuditController,
                AdminController,
                AdminFactorController,
                AdminLinkController,
                CodesController,
                EventController,
                FactorsController,
                IdentitiesController,
                OutboxController,
                PasskeysController,
                SessionController,
                SignInController,
                SocialController,
                UserController,
                *others(settings),
            ],
            guards=[public("the protocol's own refusals: each route reads and checks the bearer itself")],
            opt={"bearer": "own"},
            exception_handlers=HANDLERS,
            middleware=[Deadline(settings.request_timeout)],
            request_max_body_size=_BODY_MAX,
            tags=["auth"],
        ),
        Router(
            "/", route_handlers=[WellKnownController], guards=[public("phones read it for everybody")], tags=["auth"]
        ),
    ]
