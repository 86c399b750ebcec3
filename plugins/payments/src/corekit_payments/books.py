"""A payment and its operations under the payment's row lock, and what is written of them."""

import secrets
from base64 import b32encode
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, select

from corekit.context import Actor, Context
from corekit.contracts.payments import OperationKind, OperationState
from corekit.errors import NotFound, PluginError
from corekit.values import Money, typeid, uuid7
from corekit_payments.deriving import Derived, Fact, Intent, derive
from corekit_payments.models import PURPOSE, OperationRow, PaymentRow
from corekit_payments.transitions import FINAL, IN_HAND

_REFERENCE = 20  # characters: the shortest limit of a provider's is 20, letters and digits, in any case
_COLUMNS = Derived.__struct_fields__


@dataclass
class Books:
    """One payment with all of its operations, in their order, locked until the transaction ends."""

    ctx: Context
    payment: PaymentRow
    operations: list[OperationRow]

    def operation(self, id_: UUID) -> OperationRow:
        """Return one of them."""
        return next(one for one in self.operations if one.id == id_)

    def money(self, operation: OperationRow) -> Money:
        """Return an operation's amount."""
        return Money(operation.amount, self.payment.currency)

    def counted(self, kind: OperationKind) -> list[OperationRow]:
        """Return the operations of a kind whose money is this payment's."""
        return [one for one in self.operations if one.kind == kind and not one.surplus]

    def winner(self) -> OperationRow | None:
        """Return the authorisation that succeeded and counts; there is one at most."""
        return next((one for one in self.counted("authorize") if one.state == "succeeded"), None)

    def in_hand(self) -> OperationRow | None:
        """Return the operation that a driver has work with; there is one at most."""
        return next((one for one in self.operations if one.state in IN_HAND), None)

    def asked(self, authorization: OperationRow, kinds: Collection[OperationKind]) -> bool:
        """Tell whether its attempt has operations of these kinds, whatever became of them."""
        return any(one.kind in kinds and one.attempt_id == authorization.attempt_id for one in self.operations)

    def begin(
        self,
        kind: OperationKind,
        attempt: UUID,
        provider: str,
        amount: int,
        *,
        final: bool = True,
        state: OperationState = "created",
        surplus: bool = False,
        initiator: UUID | None = None,
        reason: str = "",
    ) -> OperationRow:
        """Add an operation; a refused one whose room it takes is superseded: should it succeed late, it is surplus.

        So whether a late success counts is settled here, under the lock, and not by the order in which evidence comes.
        """
        if not surplus:
            self._supersede(kind, amount, final=final)
        id_, now = uuid7(), self.ctx.now()
        made = OperationRow(
            id=id_, tenant=self.payment.tenant, payment_id=self.payment.id, attempt_id=attempt, kind=kind,
            seq=1 + max((one.seq for one in self.operations), default=0), amount=amount, final=final, state=state,
            surplus=surplus, superseded=False, initiator=initiator, reason=reason, provider=provider,
            provider_key=typeid("pop", id_), reference=b32encode(secrets.token_bytes(15)).decode()[:_REFERENCE],
            sends=0, unsent=0, checks=0, lock_token=0, next_check_at=None if state in FINAL else now, seen=[],
            created_at=now, updated_at=now,
        )  # fmt: skip
        self.operations.append(made)
        self.ctx.session.add(made)
        return made

    def settle_columns(self) -> bool:
        """Write what follows from the operations, all of it together; tell whether anything changed."""
        derived = derived_of(self.payment, self.operations)
        changed = [name for name in _COLUMNS if getattr(self.payment, name) != getattr(derived, name)]
        for name in changed:
            setattr(self.payment, name, getattr(derived, name))
        return bool(changed)

    def changed(self) -> None:
        """Make it another version."""
        self.payment.version += 1
        self.payment.updated_at = self.ctx.now()

    def _supersede(self, kind: OperationKind, amount: int, *, final: bool) -> None:
        of_kind: OperationKind = "refund" if kind == "refund" else "capture"
        room = self.payment.captured if kind == "refund" else self.payment.authorized
        if kind not in {"capture", "refund", "void"}:
            return
        others = [one for one in self.counted(of_kind) if not one.superseded]
        held = sum(one.amount for one in others)
        for one in (one for one in others if one.state in {"failed", "canceled"}):
            if (
                kind == "void" or (kind == "capture" and final) or held + amount > room
            ):  # the rest is released, or needed
                one.superseded = True
                held -= one.amount


async def lock(ctx: Context, payment: UUID) -> Books:
    """Read a payment and its operations, and keep everybody else from them until this transaction ends.

    Raises:
        NotFound: there is none, or it is another tenant's.
        PluginError: this is not a writing context of the purpose `payments`.

    """
    return await _lock(ctx, PaymentRow.id == payment)


async def lock_of(ctx: Context, operation: UUID) -> Books:
    """Do what `lock` does, for the payment of an operation."""
    its = select(OperationRow.payment_id).where(OperationRow.id == operation)
    return await _lock(ctx, PaymentRow.id == its.scalar_subquery())


async def _lock(ctx: Context, which: ColumnElement[bool]) -> Books:
    demand_purpose(ctx)
    fresh = {"populate_existing": True}  # what was read before the lock may be old
    locked = select(PaymentRow).where(which).with_for_update()
    row = (await ctx.session.execute(locked, execution_options=fresh)).scalar_one_or_none()
    if row is None or row.tenant != ctx.tenant:
        raise NotFound
    operations = select(OperationRow).where(OperationRow.payment_id == row.id).order_by(OperationRow.seq)
    return Books(ctx, row, list((await ctx.session.scalars(operations, execution_options=fresh)).all()))


def demand_purpose(ctx: Context) -> None:
    """Refuse a context that may not write payments, at once and not at its first statement."""
    ctx.demand_writing("a payment")
    if ctx.actor != Actor.system(PURPOSE):
        raise PluginError(f'payments are written in a context of caller.system("{PURPOSE}").begin()')


def derived_of(payment: PaymentRow, operations: list[OperationRow]) -> Derived:
    """Compute what the columns of a payment have to be."""
    intent = Intent(max_attempts=payment.max_attempts, cancel_requested=payment.cancel_requested_at is not None)
    return derive(intent, [_fact(one) for one in operations])


def _fact(row: OperationRow) -> Fact:
    return Fact(**{name: getattr(row, name) for name in Fact.__struct_fields__})
