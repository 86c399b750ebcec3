"""What phones read at the root of `rp_id`'s host before an app may use its passkeys."""

from typing import Any

from litestar import Controller, Response, get

from corekit.errors import NotFound
from corekit.web import Who
from corekit_auth.service import AuthService

_CACHED = {"Cache-Control": "public, max-age=3600"}


class WellKnownController(Controller):
    """The two files that tie apps to a domain; where no app is set there is none."""

    @get("/.well-known/assetlinks.json")
    async def android(self, caller: Who) -> Response[list[dict[str, Any]]]:
        """Name the Android apps that may use this domain's passkeys (Digital Asset Links)."""
        apps = caller.kit.get(AuthService).settings.android_apps
        if not apps:
            raise NotFound("no Android app is set")
        return Response([_statement(package, prints) for package, prints in apps.items()], headers=_CACHED)

    @get("/.well-known/apple-app-site-association", media_type="application/json")
    async def apple(self, caller: Who) -> Response[dict[str, Any]]:
        """Name the apps of Apple's platforms that may use this domain's passkeys."""
        apps = caller.kit.get(AuthService).settings.apple_apps
        if not apps:
            raise NotFound("no app of Apple's platforms is set")
        return Response({"webcredentials": {"apps": list(apps)}}, headers=_CACHED)


def _statement(package: str, prints: Any) -> dict[str, Any]:
    target = {"namespace": "android_app", "package_name": package}
    return {
        "relation": ["delegate_permission/common.get_login_creds", "delegate_permission/common.handle_all_urls"],
        "target": target | {"sha256_cert_fingerprints": [one.upper() for one in prints]},
    }
