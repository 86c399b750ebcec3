"""Who gets a message and what stands in it: inside the job's context, where the address is looked up."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from corekit.context import Context
from corekit.contracts.auth import OutgoingMail, OutgoingSms
from corekit.contracts.delivery import Sms
from corekit_auth.codes import Made, new_code
from corekit_auth.factor_kinds import phone_mac
from corekit_auth.flows import Flow
from corekit_auth.mails import Draft, Mails
from corekit_auth.models import ChallengeRow, TokenKind, UserRow
from corekit_auth.parts import Parts
from corekit_auth.phones import is_phone
from corekit_auth.users import shared

Sent = Literal["confirmation_sent_at", "recovery_sent_at", "reauthentication_sent_at", "phone_change_sent_at"]
LINK_TYPES: dict[TokenKind, str] = {
    "confirmation": "signup",
    "invite": "invite",
    "recovery": "recovery",
    "magiclink": "magiclink",
    "email_change_current": "email_change",
    "email_change_new": "email_change",
    "reauthentication": "reauthentication",
}


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """What one flow sends: codes, which a hook may send instead, and notices, which tell and let nobody in."""

    user_id: UUID | None = None
    outgoing: OutgoingMail | OutgoingSms | None = None
    drafts: Sequence[Draft | Sms] = ()
    notices: Sequence[Draft] = ()
    sent_at: Sequence[Sent] = ()
    keeps_flow: bool = False  # what the link carries leads back to it
    charge: Sequence[str] = ()  # whom the messages go to and nobody has counted yet: nothing is made before that


class Composing:
    """Composes the mails of one flow; None where nobody is to get anything."""

    def __init__(self, parts: Parts, mails: Mails) -> None:
        self._codes = parts.codes
        self._flows = parts.flows
        self._mails = mails
        self._settings = parts.settings
        self._users = parts.users

    async def compose(self, ctx: Context, flow: Flow, *, charged: bool) -> Parcel | None:
        """Look the address up and make the code; `charged` says that whom else it goes to was counted."""
        purpose = flow.payload["purpose"]
        if purpose == "email_changed":
            return Parcel(notices=[self._notice(flow, "email_changed")])
        user = await self._person(ctx, flow)
        if user is None or (user.banned_until is not None and user.banned_until > ctx.now()):
            return None
        if (new := _uncounted(purpose, user)) and not charged:
            return Parcel(charge=[new])
        special = {
            "email_change": self._email_change,
            "resend_email_change": self._email_change,
            "phone_change": self._phone_change,
            "resend_phone_change": self._phone_change,
            "mfa": self._second_factor,
        }
        return await special.get(purpose, self._coded)(ctx, flow, user)

    async def _coded(self, ctx: Context, flow: Flow, user: UserRow) -> Parcel | None:
        purpose = flow.payload["purpose"]
        phone = is_phone(flow.payload["address"])
        kind = _kind(purpose, user, phone=phone)
        if kind is not None:
            return await (self._text if phone else self._code)(ctx, flow, user, kind)
        return Parcel(notices=[self._notice(flow, "already_registered")]) if purpose == "signup" and not phone else None

    async def _person(self, ctx: Context, flow: Flow) -> UserRow | None:
        """Find whom the mail is for, and make them where that was asked for; then hold their account."""
        if flow.user_id is not None:
            return await self._users.locked(ctx, flow.user_id)
        found = await self._users.at(ctx, flow.payload["address"])
        if found is not None:
            return await self._users.locked(ctx, found.id)
        if flow.payload.get("create_user") and not self._settings.disable_signup:
            data = flow.payload.get("data") or {}
            user, _ = await self._users.add(ctx, flow.payload["address"], None, data, confirmed=False)
            return user
        return None

    async def _code(self, ctx: Context, flow: Flow, user: UserRow, kind: TokenKind) -> Parcel:
        address = flow.payload["address"]
        made = await self._codes.make(ctx, user.id, kind, address)
        keeps = flow.pkce is not None
        if keeps:
            payload = {**flow.payload, "method": kind}
            ttl = self._codes.ttl(address)
            await self._flows.bind(ctx, flow.id, state=made.token_hash, user_id=user.id, payload=payload, ttl=ttl)
        sent: dict[TokenKind, Sent] = {
            "recovery": "recovery_sent_at",
            "magiclink": "recovery_sent_at",
            "reauthentication": "reauthentication_sent_at",
        }
        return Parcel(
            user_id=user.id,
            outgoing=self._outgoing(flow, user, kind, address, made),
            drafts=[self._draft(flow, address, kind, made)],
            sent_at=[sent.get(kind, "confirmation_sent_at")],
            keeps_flow=keeps,
        )

    async def _text(self, ctx: Context, flow: Flow, user: UserRow, kind: TokenKind) -> Parcel:
        phone = flow.payload["address"]
        reauthenticates = kind == "reauthentication"
        return await self._sms(
            ctx,
            flow,
            user,
            kind,
            phone,
            sms_type="reauthentication" if reauthenticates else "sms",
            sent_at="reauthentication_sent_at" if reauthenticates else "confirmation_sent_at",
        )

    async def _phone_change(self, ctx: Context, flow: Flow, user: UserRow) -> Parcel | None:
        """Ask the new number; one that is another account's by now gets no code."""
        new = user.new_phone
        if not new or (flow.payload["purpose"] == "phone_change" and new != flow.payload["address"]):
            return None
        if await self._users.by_phone(ctx, new) is not None:
            return None
        sent_at: Sent = "phone_change_sent_at"
        return await self._sms(ctx, flow, user, "phone_change", new, sms_type="phone_change", sent_at=sent_at)

    async def _second_factor(self, ctx: Context, flow: Flow, user: UserRow) -> Parcel | None:
        """Make the code of a challenge that still waits; sent again, the older code is void."""
        asked: ChallengeRow | None = await ctx.session.get(ChallengeRow, UUID(flow.payload["challenge"]))
        if asked is None or asked.used_at is not None or asked.expires_at <= ctx.now():
            return None
        token = new_code(self._settings.otp_length)
        asked.otp_mac = phone_mac(ctx, asked.id, token)
        return self._written(flow, user, token, sms_type="mfa")

    async def _sms(
        self, ctx: Context, flow: Flow, user: UserRow, kind: TokenKind, phone: str, *, sms_type: str, sent_at: Sent
    ) -> Parcel:
        made = await self._codes.make(ctx, user.id, kind, phone)
        return self._written(flow, user, made.token, sms_type=sms_type, phone=phone, sent_at=[sent_at])

    def _written(
        self,
        flow: Flow,
        user: UserRow,
        token: str,
        *,
        sms_type: str,
        phone: str | None = None,
        sent_at: Sequence[Sent] = (),
    ) -> Parcel:
        phone, locale = phone or flow.payload["address"], flow.payload["locale"]
        minutes = max(1, round(self._settings.sms_otp_ttl / 60))
        sms = self._mails.text(phone, sms_type, locale, {"token": token, "minutes": minutes})
        outgoing = OutgoingSms(user=shared(user), phone=phone, otp=token, sms_type=sms_type, locale=locale)
        return Parcel(user_id=user.id, outgoing=outgoing, drafts=[sms], sent_at=sent_at)

    async def _email_change(self, ctx: Context, flow: Flow, user: UserRow) -> Parcel | None:
        """Ask both addresses; one that is another account's by now gets no code, its owner hears of it."""
        new, current = user.new_email, user.email
        if not new or (flow.payload["purpose"] == "email_change" and new != flow.payload["address"]):
            return None
        user.email_change_status = 0
        await self._codes.void(ctx, user.id, "email_change_current", "email_change_new")
        taken = await self._users.by_email(ctx, new) is not None
        made_new = None if taken else await self._codes.make(ctx, user.id, "email_change_new", new)
        made = None
        if self._settings.double_email_change and current:
            made = await self._codes.make(ctx, user.id, "email_change_current", current)
        payload = {**flow.payload, "method": "email_change"}
        ttl = self._codes.ttl(new)
        await self._flows.bind(
            ctx, flow.id, state=f"email_change.{user.id.hex}", user_id=user.id, payload=payload, ttl=ttl
        )
        drafts = []
        if made and current:
            drafts.append(self._draft(flow, current, "email_change_current", made, new_email=new))
        if made_new:
            drafts.append(self._draft(flow, new, "email_change_new", made_new, old_email=current or ""))
        outgoing = None
        if first := made or made_new:
            both = self._outgoing(flow, user, "email_change_new", current or new, first)
            outgoing = msgspec.structs.replace(
                both,
                token_new=made_new.token if made_new else "",
                token_hash_new=made_new.token_hash if made_new else "",
                old_email=current or "",
            )
        notices = [self._notice(flow, "already_registered", to=new)] if taken else []
        return Parcel(user_id=user.id, outgoing=outgoing, drafts=drafts, notices=notices, keeps_flow=True)

    def _draft(self, flow: Flow, to: str, kind: TokenKind, made: Made, **more: str) -> Draft:
        redirect_to = flow.redirect_to or self._settings.site_url
        link = self._mails.link(made.token_hash, LINK_TYPES[kind], redirect_to, pkce=flow.pkce is not None)
        minutes = max(1, round(self._codes.ttl(to) / 60))
        values = {
            "token": made.token,
            "token_hash": made.token_hash,
            "link": link,
            "redirect_to": redirect_to,
            "minutes": minutes,
        }
        return Draft(to=to, template=kind, locale=flow.payload["locale"], values=values | more)

    def _outgoing(self, flow: Flow, user: UserRow, kind: TokenKind, to: str, made: Made) -> OutgoingMail:
        return OutgoingMail(
            user=shared(user),
            to=to,
            token=made.token,
            token_hash=f"pkce_{made.token_hash}" if flow.pkce else made.token_hash,
            redirect_to=flow.redirect_to or self._settings.site_url,
            email_action_type=LINK_TYPES[kind],
            site_url=self._settings.site_url,
            locale=flow.payload["locale"],
        )

    def _notice(self, flow: Flow, template: str, to: str | None = None) -> Draft:
        return Draft(to=to or flow.payload["address"], template=template, locale=flow.payload["locale"])


def _uncounted(purpose: str, user: UserRow) -> str | None:
    """Return where a change is confirmed that is sent again: who asked named, and was counted on, the present address.

    Without that, many accounts that want one address or number would each send as much there as one may.
    """
    return {"resend_email_change": user.new_email, "resend_phone_change": user.new_phone}.get(purpose)


def _kind(purpose: str, user: UserRow, *, phone: bool) -> TokenKind | None:
    """Choose the code: one who is confirmed needs no confirmation."""
    if purpose in {"signup", "confirmation"}:
        return "confirmation" if (user.phone_confirmed_at if phone else user.email_confirmed_at) is None else None
    kinds: dict[str, TokenKind] = {
        "otp": "sms" if phone else "magiclink",
        "recovery": "recovery",
        "invite": "invite",
        "reauthentication": "reauthentication",
    }
    return kinds[purpose]
