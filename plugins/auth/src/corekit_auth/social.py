"""Social login: away to a provider, back with a code, in with an identity; and linking one by hand."""

import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import msgspec
from sqlalchemy.exc import IntegrityError

from corekit.context import Caller, Context
from corekit.errors import Problem
from corekit_auth.errands import Back, IdToken, Payload, Wish
from corekit_auth.errors import (
    BadOauthCallback,
    BadOauthState,
    EmailExists,
    FeatureDisabled,
    ManualLinkingDisabled,
    ProviderDisabled,
    ProviderUnreachable,
    UnexpectedAudience,
    UnsupportedProvider,
    ValidationFailed,
)
from corekit_auth.flows import Flow
from corekit_auth.gate import session_of
from corekit_auth.landing import failure, with_fragment, with_query, with_session
from corekit_auth.linking import Linking
from corekit_auth.models import UserRow
from corekit_auth.objects import Grant, with_provider_tokens
from corekit_auth.outside import Outside
from corekit_auth.parts import Parts
from corekit_auth.people_elsewhere import Person, with_name
from corekit_auth.purposes import SIGN_IN
from corekit_auth.remote import Errand, Remote, Tokens

KIND = "social"
METHOD = "oauth"
_TOKEN_MAX = 8192  # of a provider's own tokens, which the client may want
T = TypeVar("T")


class Social:
    """Context, network, context: nothing is open while a provider is asked."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._flows = parts.flows
        self._freshness = parts.freshness
        self._redirects = parts.redirects
        self._sessions = parts.sessions
        self._throttle = parts.throttle
        self._tokens = parts.tokens
        self._users = parts.users
        self._linking = Linking(parts)
        self._outside = Outside(parts.kit.clock)
        self._remotes = {
            name: Remote(name, provider.resolved(name), self._outside, f"{parts.settings.base_url}/callback")
            for name, provider in parts.settings.social.items()
            if provider.enabled
        }

    async def close(self) -> None:
        """Close the connections to providers."""
        await self._outside.close()

    async def start(self, caller: Caller, wish: Wish) -> str:
        """Return the provider's address for a sign-in.

        Raises:
            UnsupportedProvider: it is not set up here.
            ProviderUnreachable: it does not say where people are sent.

        """
        caller.demand_free("start_social")
        await self._throttle.social(caller)
        return await self._begin(caller, wish, self._remote(wish.provider))

    async def start_link(self, caller: Caller, wish: Wish) -> str:
        """Return the provider's address for linking another identity to the own account (see `start`)."""
        caller.demand_free("link_identity")
        await self._throttle.social(caller)
        user_id = await self._linker(caller)
        return await self._begin(caller, wish, self._remote(wish.provider), user_id)

    async def callback(self, caller: Caller, back: Back) -> str:
        """Take somebody back from a provider; return where they come out, also with what failed."""
        caller.demand_free("exchange")
        if not self._remotes:
            raise FeatureDisabled
        await self._throttle.sign_in(caller)
        flow: Flow | None = None
        try:
            flow = await self._spent(caller, back.state)
            address = await self._landed(caller, flow, back)
        except Problem as problem:
            return self._failed(flow, problem, back)
        await self._throttle.signed_in(caller)
        return address

    async def by_id_token(self, caller: Caller, given: IdToken, *, link: bool = False) -> Grant:
        """Begin a session with an id_token; `link` adds it to the own account instead of looking for one.

        Raises:
            ProviderDisabled: it is not set up here, or issues none.
            BadIdToken, UnexpectedAudience: telling what is wrong with the token.

        """
        caller.demand_free("exchange")
        await self._throttle.sign_in(caller)
        user_id = await self._linker(caller) if link else None
        remote = self._issuing(given)
        person = await remote.by_id_token(given.id_token, nonce=given.nonce, access_token=given.access_token)

        async def begin(ctx: Context) -> Grant:
            return await self._grant(ctx, await self._admitted(ctx, person, user_id), person)

        grant = await self._retried(caller, begin)
        await self._throttle.signed_in(caller)
        return grant

    async def unlink(self, ctx: Context, identity_id: UUID) -> None:
        """Remove an identity from the account of who asks.

        Raises:
            ManualLinkingDisabled: linking by hand is off.
            SingleIdentity, IdentityNotFound: see `Linking.unlink`.

        """
        self.demand_linking()
        account = await self._sessions.live(ctx, ctx.on_behalf_of or ctx.actor)
        await self._freshness.demand(ctx, account)
        await self._linking.unlink(ctx, account, identity_id)

    def demand_linking(self) -> None:
        """Refuse to link or unlink by hand, where that is off (ManualLinkingDisabled)."""
        if not self._settings.manual_linking:
            raise ManualLinkingDisabled

    async def _linker(self, caller: Caller) -> UUID:
        self.demand_linking()
        async with caller.begin(readonly=True) as ctx:
            account = await self._sessions.live(ctx, caller.actor)
            await self._freshness.demand(ctx, account)
        return account.user.id

    def _remote(self, name: str) -> Remote:
        if (remote := self._remotes.get(name)) is None:
            raise UnsupportedProvider
        return remote

    def _issuing(self, given: IdToken) -> Remote:
        """Find the provider of an id_token: by its name, or by the client and the issuer."""
        remote = self._remotes.get(given.provider)
        if not given.provider and given.client_id and given.issuer:
            fitting = (
                one
                for one in self._remotes.values()
                if given.issuer in one.provider.issuers and given.client_id in one.provider.accepted
            )
            remote = next(fitting, None)
        if remote is None:
            raise ProviderDisabled
        if given.issuer and given.issuer not in remote.provider.issuers:
            raise ValidationFailed("issuer: not the issuer of this provider")
        if given.client_id and given.client_id not in remote.provider.accepted:
            raise UnexpectedAudience
        return remote

    async def _begin(self, caller: Caller, wish: Wish, remote: Remote, user_id: UUID | None = None) -> str:
        errand = Errand(nonce=secrets.token_urlsafe(32), verifier=secrets.token_urlsafe(48))
        await remote.prepare()
        session_id = session_of(caller.actor) if user_id else None
        payload = Payload(nonce=errand.nonce, verifier=errand.verifier, session_id=session_id)
        async with caller.system(SIGN_IN).begin() as ctx:
            _, state = await self._flows.create(
                ctx,
                KIND,
                provider=remote.name,
                pkce=wish.pkce,
                redirect_to=self._redirects.allowed(wish.redirect_to),
                user_id=user_id,
                payload=msgspec.to_builtins(payload),
            )
        return await remote.address(errand, state, wish.scopes, wish.extra)

    async def _spent(self, caller: Caller, state: str) -> Flow:
        async with caller.system(SIGN_IN).begin() as ctx:
            flow = await self._flows.spend(ctx, KIND, state) if state else None
        if flow is None:
            raise BadOauthState
        return flow

    async def _landed(self, caller: Caller, flow: Flow, back: Back) -> str:
        remote = self._remotes.get(flow.provider or "")
        if remote is None:
            raise UnsupportedProvider
        if back.error or not back.code:
            raise BadOauthCallback
        if back.iss and back.iss not in remote.provider.issuers:
            raise BadOauthCallback("Another provider sent them back")  # RFC 9207
        payload = msgspec.convert(flow.payload, Payload)
        try:
            tokens, person = await remote.exchange(back.code, Errand(nonce=payload.nonce, verifier=payload.verifier))
        except ProviderUnreachable as unreachable:
            raise BadOauthCallback(str(unreachable)) from None
        person = with_name(person, back.user)

        async def begin(ctx: Context) -> str:
            if flow.user_id is not None:
                await self._still_there(ctx, flow.user_id, payload.session_id)
            user = await self._admitted(ctx, person, flow.user_id)
            return await self._handed_out(ctx, flow, user, person, tokens)

        return await self._retried(caller, begin)

    async def _still_there(self, ctx: Context, user_id: UUID, session_id: UUID | None) -> None:
        """Refuse to link for a session that ended while its owner was away."""
        account = await self._sessions.account(ctx, session_id) if session_id else None
        if account is None or account.user.id != user_id:
            raise BadOauthState("The session that asked for this has ended")

    async def _admitted(self, ctx: Context, person: Person, user_id: UUID | None) -> UserRow:
        if user_id is not None:
            return await self._linking.link(ctx, user_id, person)
        return await self._linking.admit(ctx, person)

    async def _handed_out(self, ctx: Context, flow: Flow, user: UserRow, person: Person, tokens: Tokens) -> str:
        """Give the page a code that its own verifier opens, or, without one, the session itself."""
        address = flow.redirect_to or self._settings.site_url
        theirs = {"provider_token": tokens.access_token, "provider_refresh_token": tokens.refresh_token}
        kept = {key: token for key, token in theirs.items() if token and len(token) <= _TOKEN_MAX}
        if flow.pkce is not None:
            payload = {"method": METHOD, **kept}
            return with_query(address, {"code": await self._flows.issue(ctx, flow.id, user.id, payload=payload)})
        await self._flows.drop(ctx, flow.id)
        return with_session(address, with_provider_tokens(await self._grant(ctx, user, person), kept).session)

    async def _grant(self, ctx: Context, user: UserRow, person: Person) -> Grant:
        session, key = await self._sessions.begin(ctx, user, METHOD, provider=person.provider)
        identities, factors = await self._users.ways(ctx, user.id)
        return await self._tokens.grant(ctx, user, identities, session, key, factors=factors)

    async def _retried(self, caller: Caller, work: Callable[[Context], Awaitable[T]]) -> T:
        """Do the last step; who loses a race for a new identity or address finds it the second time."""
        for _ in range(2):
            try:
                async with caller.system(SIGN_IN).begin() as ctx:
                    return await work(ctx)
            except IntegrityError:
                continue
        raise EmailExists

    def _failed(self, flow: Flow | None, problem: Problem, back: Back) -> str:
        """Say what failed where the client looks: in the query for PKCE, otherwise in the fragment too."""
        address = flow.redirect_to if flow and flow.redirect_to else self._settings.site_url
        said = failure(problem, back.error)
        if flow is not None and flow.pkce is not None:
            return with_query(address, said)
        return with_fragment(with_query(address, said), said)
