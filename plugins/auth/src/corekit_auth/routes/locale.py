"""In which language mails are written to who asks."""

import re
from dataclasses import replace

from corekit.context import Caller
from corekit_auth.routes.envelope import Asked

_TAG = re.compile(r"\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2})\s*(?:[,;].*)?", re.DOTALL)


def in_locale(request: Asked, caller: Caller) -> Caller:
    """Take the language that comes first in `Accept-Language`: browsers and applications write their user's first."""
    found = _TAG.fullmatch(request.headers.get("Accept-Language", "")[:100])
    return replace(caller, locale=found[1]) if found else caller
