"""The pages as HTML: no script, nothing loaded, and headers that let nothing else in."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response
from markupsafe import Markup

from corekit.contracts.payments import UpiQr
from corekit_payments.checkout.checkout import Sheet
from corekit_payments.checkout.refusals import PageRefused
from corekit_payments.upi.qr import svg

_PAGES = Environment(
    loader=PackageLoader("corekit_payments.checkout"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_STYLE = _PAGES.get_template("style.css").render().strip()
_DIGEST = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# What a person reads of each status: a heading, and what to do.
_STATUSES: Mapping[str, tuple[str, str]] = {
    "requires_payment_method": ("Choose how to pay", ""),
    "requires_action": ("One step is left", ""),
    "processing": ("We are waiting for the bank", "You need not pay again. This page looks again by itself."),
    "requires_capture": ("The payment is approved", "You can close this page."),
    "partially_captured": ("The payment has been made", "You can close this page."),
    "succeeded": ("The payment has been made", "You can close this page."),
    "canceled": ("The payment was cancelled", "If its code or link is still before you, do not use it any more."),
    "failed": ("The payment failed", "Ask for a new link where you were given this one."),
    "needs_review": ("The payment is being looked at", "You need not pay again. Come back to this page later."),
}
_DECLINES: Mapping[str, str] = {
    "funds": "There was not enough money in the account.",
    "limit": "The amount is over a limit of the account.",
    "expired": "The time to approve it ran out.",
    "authentication": "It was not approved.",
    "blocked": "It cannot be made in this way.",
}


def checkout_page(sheet: Sheet, merchant: str, now: datetime) -> Response[str]:
    """Draw the page of a payment; what waits is looked at again by itself, every few seconds."""
    payment, action = sheet.payment, sheet.payment.next_action
    title, hint = _STATUSES[payment.status]
    code = Markup(svg(action.payload)) if isinstance(action, UpiQr) else None  # noqa: S704  # drawn here, of modules alone
    declined = payment.decline
    return _page(
        "checkout.html",
        200,
        sheet=sheet,
        amount=f"{payment.amount.format()} {payment.amount.currency}",
        payee=merchant if payment.payee == "merchant" else "a person",
        title=title,
        hint=hint,
        action=action,
        code=code,
        left=_left(action.expires_at, now) if isinstance(action, UpiQr) else None,
        declined=_DECLINES.get(declined.reason, "The bank refused it.") if declined else None,
    )


def refused_page(why: PageRefused) -> Response[str]:
    """Draw why a page is not shown, or nothing was done."""
    more = {} if why.retry_after is None else {"Retry-After": str(why.retry_after)}
    return _page("refused.html", why.status, more, title=why.title, text=why.text)


def stand_in_page(amount: str, *, waiting: bool) -> Response[str]:
    """Draw the page on which a developer is the payer of the sandbox."""
    return _page("stand_in.html", 200, amount=amount, waiting=waiting)


def _page(template: str, status: int, more: Mapping[str, str] | None = None, **values: Any) -> Response[str]:
    text = _PAGES.get_template(template).render(values | {"style": Markup(_STYLE)})  # noqa: S704  # our own file
    return Response(text, media_type=MediaType.HTML, status_code=status, headers={**HEADERS, **(more or {})})


def _left(expires_at: datetime | None, now: datetime) -> str | None:
    """Say until when a code is good, and how long that is from now."""
    if expires_at is None:
        return None
    seconds = max(0, round((expires_at - now).total_seconds()))
    return f"{expires_at.astimezone(UTC):%H:%M:%S} UTC, {seconds // 60} min {seconds % 60} s from now"
