"""Balances."""

import msgspec
from sqlalchemy import select

from corekit.context import Context
from corekit_payments.ledger.rollups import rolled_until, summed
from corekit_payments.ledger.rows import LedgerAccountRow, PostingRow, RollUpRow


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What was debited to an account and credited to it, in minor units; their difference is its balance."""

    code: str
    currency: str
    kind: str
    debit: int
    credit: int


async def balances(ctx: Context, code: str | None = None) -> list[Balance]:
    """Sum up every account of the tenant, or those of one code, by code and currency."""
    account = LedgerAccountRow
    until = await rolled_until(ctx)
    debit = summed(PostingRow.debit, RollUpRow.debit, until)
    credit = summed(PostingRow.credit, RollUpRow.credit, until)
    sums = select(account.code, account.currency, account.kind, debit.label("debit"), credit.label("credit"))
    mine = sums.where(account.tenant.is_not_distinct_from(ctx.tenant)).order_by(account.code, account.currency)
    mine = mine if code is None else mine.where(account.code == code)
    rows = (await ctx.session.execute(mine)).mappings()
    return [msgspec.convert({**row, "debit": int(row["debit"]), "credit": int(row["credit"])}, Balance) for row in rows]
