"""The rules of a tenant: the settings', but where somebody has changed them."""

from uuid import UUID, uuid5

import msgspec
from sqlalchemy import bindparam, select

from corekit.context import Context
from corekit_payments.fraud.judging import RuleBook
from corekit_payments.fraud.rows import FraudRuleRow
from corekit_payments.fraud.settings import (
    RULES,
    AmountRule,
    BlocklistRule,
    DuplicateRule,
    FraudSettings,
    NewAccountRule,
    Parameters,
    RuleName,
    VelocityRule,
)

PARAMETERS: dict[RuleName, type[Parameters]] = {
    "blocklist": BlocklistRule,
    "amount": AmountRule,
    "velocity": VelocityRule,
    "duplicate": DuplicateRule,
    "new_account": NewAccountRule,
}
_CHANGED = select(FraudRuleRow).where(FraudRuleRow.id.in_(bindparam("ids", expanding=True)))
_RULES = UUID("5d0c0a0e-6a0f-5c7e-9d0e-0c7f8d1f9a31")


async def rules_in_force(ctx: Context, settings: FraudSettings) -> RuleBook:
    """Read them, by their keys: the table has the rules of all tenants, and this is asked for each attempt."""
    changed = await ctx.session.scalars(_CHANGED, {"ids": [rule_id(ctx.tenant, name) for name in RULES]})
    rows = {row.rule: row for row in changed}
    modes = {name: rows[name].mode if name in rows else settings.mode(name) for name in RULES}
    parameters = {name: msgspec.convert(row.parameters, PARAMETERS[row.rule]) for name, row in rows.items()}
    shadow, off = (tuple(name for name in RULES if modes[name] == mode) for mode in ("shadow", "off"))
    merged = msgspec.structs.replace(settings, shadow=shadow, off=off, **parameters)
    return RuleBook(merged, {row.rule: row.version for row in rows.values()})


def rule_id(tenant: UUID | None, rule: RuleName) -> UUID:
    """Name the row of a rule, so that two who change it first change the same."""
    return uuid5(_RULES, f"{tenant or ''}/{rule}")
