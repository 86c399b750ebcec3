"""What is posted when a provider pays out, or takes back: its account is cleared against the bank, less its fee."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select

from corekit.context import Context
from corekit.contracts.payments import Posting
from corekit.values import Money
from corekit_payments.ledger.posting import account_id, add
from corekit_payments.ledger.rows import LedgerTransactionRow, PostingRow

Kind = Literal["settlement", "fee"]
_TX = LedgerTransactionRow


def source_of(provider: str, row: str) -> str:
    """Name the line of a provider's report in the ledger."""
    return f"stl:{provider}:{row}"


async def booked(ctx: Context, sources: Sequence[str]) -> set[str]:
    """Say which lines were booked before."""
    done = select(_TX.source).where(_TX.source.in_(sources), _TX.kind == "settlement")
    return set(await ctx.session.scalars(done))


async def has(ctx: Context, operation: UUID, kind: Kind) -> bool:
    """Tell whether an operation was settled, or its fee posted."""
    mine = (_TX.operation_id == operation) & (_TX.kind == kind)
    return bool(await ctx.session.scalar(select(exists().where(mine))))


def named_by_report(tx: type[LedgerTransactionRow], provider: str) -> ColumnElement[bool]:
    """Tell whether a transaction is of a line of the provider's reports: what has arrived, or the fee that took all."""
    return tx.source.startswith(source_of(provider, ""), autoescape=True)


async def is_clearing(ctx: Context, operation: UUID, provider: str, currency: str) -> bool:
    """Tell whether an operation stands in the provider's account; in another chart of accounts it need not."""
    account = account_id(ctx, f"clearing:{provider}", currency)
    touches = or_(PostingRow.debit == account, PostingRow.credit == account)
    mine = exists().where(PostingRow.tx == _TX.id, touches, _TX.operation_id == operation)
    return bool(await ctx.session.scalar(select(mine)))


async def post_settlement(ctx: Context, provider: str, source: str, operation: UUID | None, arrived: Money) -> None:
    """Post what has arrived in the bank; where it is negative, what has left it."""
    if moved := _pairs("bank", f"clearing:{provider}", [arrived]):
        await add(ctx, source, "settlement", operation, moved, {})


async def post_fee(
    ctx: Context, provider: str, source: str, operation: UUID | None, payer: str, fee: Money, tax: Money | None
) -> None:
    """Post what the provider keeps, from the account of who bears it, its tax apart; below zero, the other way."""
    taxed = 0 if tax is None else tax.minor
    parts = [Money(fee.minor - taxed, fee.currency), Money(taxed, fee.currency)]
    if pairs := _pairs(payer, f"clearing:{provider}", parts):
        await add(ctx, source, "fee", operation, pairs, {})


def _pairs(debit: str, credit: str, amounts: Sequence[Money]) -> list[Posting]:
    """Write each amount from one account to the other, a negative one the other way, and leave out what is none."""
    return [
        Posting(
            debit=debit if one.minor > 0 else credit,
            credit=credit if one.minor > 0 else debit,
            amount=Money(abs(one.minor), one.currency),
        )
        for one in amounts
        if one.minor
    ]
