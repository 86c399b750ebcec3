"""Rules as those see and change them who may: a change stands instead of the settings, from its commit on."""

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from corekit.context import Context
from corekit.contracts.audit import Audit, Target
from corekit.errors import Invalid, NotFound
from corekit.guard.preconditions import IfMatch
from corekit_payments.books import demand_purpose
from corekit_payments.fraud.judging import RuleBook
from corekit_payments.fraud.rows import MANAGE, FraudRuleRow
from corekit_payments.fraud.rulebook import PARAMETERS, rule_id, rules_in_force
from corekit_payments.fraud.settings import RULES, FraudSettings, Mode, RuleName
from corekit_payments.reviewing import demand_reason
from corekit_payments.rights import demand_held, person_of

_CURRENCIES = 10  # that an audit entry has room for


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule in force; version 0 is the settings'."""

    name: RuleName
    mode: Mode
    parameters: dict[str, Any]
    version: int


class RuleChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule is to be from now on, whole, and why: parameters that are not given have their default."""

    mode: Mode
    parameters: dict[str, Any]
    reason: str


class FraudRules:
    """The rules of the tenant."""

    def __init__(self, settings: FraudSettings) -> None:
        self._settings = settings

    async def list(self, ctx: Context) -> list[Rule]:
        """List all, in the order in which they are asked."""
        book = await rules_in_force(ctx, self._settings)
        return [_rule(book, name) for name in RULES]

    async def change(self, ctx: Context, name: str, change: RuleChange, if_match: IfMatch) -> Rule:
        """Set a rule.

        Raises:
            NotFound, Refused: there is no such rule, or the person may not change one.
            Invalid, CardNumberRefused: of the parameters or the reason.
            PreconditionFailed: it has changed since they read it.

        """
        demand_purpose(ctx)
        demand_held(ctx, MANAGE)
        if name not in RULES:
            raise NotFound
        rule = msgspec.convert(name, RuleName)
        demand_reason(change.reason)
        parameters = _parameters(rule, change)
        row = await _locked(ctx, _rule(await rules_in_force(ctx, self._settings), rule))
        before = Rule(name=rule, mode=row.mode, parameters=row.parameters, version=row.version)
        if_match.demand(before.version)
        row.mode, row.parameters, row.reason, row.author = change.mode, parameters, change.reason, person_of(ctx)
        row.version, row.updated_at = row.version + 1, ctx.now()
        await ctx.session.flush()
        after = Rule(name=rule, mode=row.mode, parameters=parameters, version=row.version)
        details = {"via": "operator", "reason": change.reason, "before": _told(before), "after": _told(after)}
        await ctx.get(Audit).record(
            ctx, "payments.fraud.rule_changed", target=Target("fraud_rule", rule), details=details, actor=row.author
        )
        return after


async def _locked(ctx: Context, rule: Rule) -> FraudRuleRow:
    """Lock the row of a rule, made of the settings where there is none: two who change it first wait as well."""
    insert = postgresql.insert if ctx.kit.database.dialect == "postgresql" else sqlite.insert
    id_, now = rule_id(ctx.tenant, rule.name), ctx.now()
    values: dict[str, Any] = {
        "id": id_, "tenant": ctx.tenant, "rule": rule.name, "mode": rule.mode, "parameters": rule.parameters,
        "version": 0, "reason": "", "author": person_of(ctx), "created_at": now, "updated_at": now,
    }  # fmt: skip
    await ctx.session.execute(insert(FraudRuleRow).values(values).on_conflict_do_nothing())
    chosen = select(FraudRuleRow).where(FraudRuleRow.id == id_).with_for_update()
    return (await ctx.session.execute(chosen, execution_options={"populate_existing": True})).scalar_one()


def _parameters(rule: RuleName, change: RuleChange) -> dict[str, Any]:
    """Read parameters as strictly as settings; return all of them."""
    try:
        read = msgspec.convert(change.parameters, PARAMETERS[rule])
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        raise Invalid(reason, pointer=f"/parameters{place.rstrip('`').replace('.', '/')}") from None
    built: dict[str, Any] = msgspec.to_builtins(read)
    return built


def _rule(book: RuleBook, name: RuleName) -> Rule:
    parameters = msgspec.to_builtins(getattr(book.rules, name))
    return Rule(name=name, mode=book.rules.mode(name), parameters=parameters, version=book.versions.get(name, 0))


def _told(rule: Rule) -> dict[str, Any]:
    """Write a rule for the audit, whose entries have room for a few currencies: more of them are counted."""
    shown = {key: _short(value) for key, value in rule.parameters.items()}
    return {"mode": rule.mode, "version": rule.version, "parameters": shown}


def _short(value: Any) -> Any:
    return value if not isinstance(value, dict) or len(value) <= _CURRENCIES else f"{len(value)} currencies"
