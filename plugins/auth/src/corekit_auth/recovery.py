"""Recovery codes: ten of them for the day when the phone is gone."""

import base64
import os
from typing import Any

import msgspec
from sqlalchemy import delete, func, select, update

from corekit.context import Caller, Context
from corekit.contracts.auth import Attempt, RecoveryCodesReplaced, RecoveryCodeUsed
from corekit.values import uuid7
from corekit_auth.answers import Answers
from corekit_auth.errors import AnonymousHasNoFactors, InsufficientAal, VerificationFailed
from corekit_auth.factors import FACTOR
from corekit_auth.models import FactorRow, RecoveryCodeRow
from corekit_auth.objects import Grant
from corekit_auth.parts import Parts
from corekit_auth.raising import Raising
from corekit_auth.sessions import Account
from corekit_auth.telling import tell

METHOD = "recovery_code"
_RECOVERY = "recovery"  # the bucket of failures
_COUNT = 10
_BYTES = 10  # 80 bits, 16 letters
_GROUP = 4
_UNSYNCED = {"synchronize_session": False}


class RecoveryCodesObject(msgspec.Struct, frozen=True):
    """The codes, shown once."""

    codes: list[str]


class RecoveryCodes:
    """Only the HMAC of a code is kept, under a key of the server's."""

    def __init__(self, parts: Parts) -> None:
        self._failures = parts.failures
        self._freshness = parts.freshness
        self._throttle = parts.throttle
        self._answers = Answers(parts)
        self._raising = Raising(parts.settings, parts.sessions)

    async def replace(self, ctx: Context) -> RecoveryCodesObject:
        """Make ten codes for who asks; older ones are void.

        Raises:
            InsufficientAal, StaleSignIn: the session has not passed a second factor, or its last proof is too old.

        """
        account = await self._answers.account(ctx, ctx.on_behalf_of or ctx.actor)
        if account.user.is_anonymous:
            raise AnonymousHasNoFactors
        # Codes of a session at aal1 would be a way around a factor that is enrolled later.
        if account.session.aal == 1:
            raise InsufficientAal
        await self._freshness.demand(ctx, account)
        codes, user_id = [_code() for _ in range(_COUNT)], account.user.id
        await ctx.session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user_id == user_id))
        ctx.session.add_all(
            RecoveryCodeRow(
                id=uuid7(),
                user_id=user_id,
                mac=_mac(ctx, account, code),
                created_at=ctx.now(),
                updated_at=ctx.now(),
            )
            for code in codes
        )
        await tell(ctx, RecoveryCodesReplaced(user_id=user_id))
        return RecoveryCodesObject(codes)

    async def verify(self, caller: Caller, code: str) -> Grant:
        """Take a code in place of a second factor; factors that were disabled can be tried again.

        Raises:
            VerificationFailed: it is none of the codes, or was used; it counts.
            VerificationRejected: a hook said no.

        """
        caller.demand_free("verify")
        await self._throttle.mfa(caller)
        async with self._answers.context(caller) as ctx:
            account = await self._answers.account(ctx, caller.actor)
            user_id = account.user.id
            await self._failures.charge(ctx, _RECOVERY, user_id.hex)
            mine: Any = (
                RecoveryCodeRow.user_id == user_id,
                RecoveryCodeRow.mac == _mac(ctx, account, code),
                RecoveryCodeRow.used_at.is_(None),
            )
            valid = await ctx.session.scalar(select(RecoveryCodeRow.id).where(*mine)) is not None
            await self._answers.judge(ctx, Attempt(user_id=user_id, valid=valid, factor_type=METHOD))
            taken = update(RecoveryCodeRow).where(*mine).values(used_at=ctx.now(), updated_at=ctx.now())
            returned = taken.returning(RecoveryCodeRow.id)
            if not valid or await ctx.session.scalar(returned, execution_options=_UNSYNCED) is None:
                raise VerificationFailed("Invalid recovery code entered")
            await self._failures.forget(ctx, _RECOVERY, user_id.hex)
            await self._enable(ctx, account)
            lifted = await self._raising.lift(ctx, account, METHOD)
            await tell(ctx, RecoveryCodeUsed(user_id=user_id, left=await _left(ctx, account)))
            return await self._answers.grant(ctx, lifted)

    async def _enable(self, ctx: Context, account: Account) -> None:
        """Let factors be tried again that wrong codes have disabled."""
        disabled = (
            update(FactorRow)
            .where(FactorRow.user_id == account.user.id, FactorRow.disabled_at.is_not(None))
            .values(disabled_at=None, failures=0, updated_at=ctx.now())
            .returning(FactorRow.id)
        )
        for factor_id in (await ctx.session.scalars(disabled, execution_options=_UNSYNCED)).all():
            await self._failures.forget(ctx, FACTOR, factor_id.hex)


async def _left(ctx: Context, account: Account) -> int:
    unused = select(func.count()).where(RecoveryCodeRow.user_id == account.user.id, RecoveryCodeRow.used_at.is_(None))
    return int(await ctx.session.scalar(unused) or 0)


def _code() -> str:
    text = base64.b32encode(os.urandom(_BYTES)).decode().lower()
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def _mac(ctx: Context, account: Account, code: str) -> bytes:
    """Make what is stored of a code, however it was typed."""
    letters = "".join(code.replace("-", "").split()).lower()
    return ctx.kit.keyring.mac("auth.recovery_code", f"{account.user.id.hex}\n{letters}")
