"""The fraud rules, their list and what they decided, for those who manage them."""

import builtins

from litestar import Controller, Response, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from corekit.errors import NotFound
from corekit.values import Page
from corekit.web import Ctx, Match, Who, conditional, requires, tagged
from corekit_payments.fraud.deciding import Decision, DecisionQuery, decisions
from corekit_payments.fraud.listing import LIST, Entry, ListQuery, NewEntry, add_entry, drop_entry, entries
from corekit_payments.fraud.rows import MANAGE
from corekit_payments.fraud.ruling import FraudRules, Rule, RuleChange
from corekit_payments.models import PURPOSE
from corekit_payments.routes.payments import question


class FraudRoutes(Controller):
    """All of it needs `payments:fraud:manage`."""

    path = "/payments/v1/fraud"
    tags = ["payments"]
    guards = [requires(MANAGE)]

    @get("/lists/{name:str}", operation_id="payment.fraud_list")
    async def entries(
        self,
        ctx: Ctx,
        name: FromPath[str],
        kind: FromQuery[str | None] = None,
        limit: FromQuery[int] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> Page[Entry]:
        """List who and what does not pay here, the newest first; the one list is `block`."""
        _demand_list(name)
        return await entries(ctx, question(ListQuery, kind=kind, limit=limit, cursor=cursor))

    @post("/lists/{name:str}", operation_id="payment.fraud_block")
    async def add(self, caller: Who, name: FromPath[str], data: JSONBody[NewEntry]) -> Entry:
        """Put a person, a card's token, a device or a network on the list."""
        _demand_list(name)
        async with caller.system(PURPOSE).begin() as ctx:
            return await add_entry(ctx, data)

    @delete("/lists/{name:str}/{entry:str}", operation_id="payment.fraud_unblock")
    async def drop(self, caller: Who, name: FromPath[str], entry: FromPath[str]) -> None:
        """Take an entry off the list."""
        _demand_list(name)
        async with caller.system(PURPOSE).begin() as ctx:
            await drop_entry(ctx, entry)

    @get("/rules", operation_id="payment.fraud_rules")
    async def rules(self, ctx: Ctx) -> builtins.list[Rule]:
        """List the rules in force, in the order in which they are asked."""
        return await ctx.get(FraudRules).list(ctx)

    @put("/rules/{name:str}", operation_id="payment.fraud_rule", guards=[requires(MANAGE), conditional()])
    async def change(
        self, caller: Who, name: FromPath[str], data: JSONBody[RuleChange], if_match: Match
    ) -> Response[Rule]:
        """Set a rule, whole; `If-Match` is the version that you have read."""
        async with caller.system(PURPOSE).begin() as ctx:
            rule = await ctx.get(FraudRules).change(ctx, name, data, if_match)
        return Response(rule, headers=tagged(rule.version))

    @get("/decisions", operation_id="payment.fraud_decisions")
    async def decisions(
        self,
        ctx: Ctx,
        payment: FromQuery[str | None] = None,
        rule: FromQuery[str | None] = None,
        shadow: FromQuery[bool | None] = None,
        limit: FromQuery[int] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> Page[Decision]:
        """List what rules have objected to, the newest first, those in shadow included."""
        query = question(DecisionQuery, payment=payment, rule=rule, shadow=shadow, limit=limit, cursor=cursor)
        return await decisions(ctx, query)


def _demand_list(name: str) -> None:
    if name != LIST:
        raise NotFound
