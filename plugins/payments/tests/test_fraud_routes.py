"""The list, the rules and the decisions over HTTP: by permission, audited, and without an identifier in a table."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fraud_rules import only, raced, rows

from corekit.context import Actor
from corekit.guard.audit_rows import AuditRow
from corekit.values import rfc3339, typeid, uuid7
from corekit_payments.fraud.rows import FraudListRow
from corekit_payments.fraud.settings import BlocklistRule
from corekit_payments.fraud.subjects import hashed
from corekit_payments.models import PURPOSE

FRAUD = "/payments/v1/fraud"
WHY = "charged back three times"
ALICE = typeid("usr", Actor("alice").id)
CHANGED = {"mode": "on", "parameters": {"bounds": {"INR": {"maximum": 10}}}, "reason": "a wave of fraud"}
NETWORKS = [
    ("203.0.113.0/24", "203.0.113.200", "203.0.114.1"),
    ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
    ("198.51.100.0/24", "::ffff:198.51.100.9", "::ffff:198.51.101.9"),
    ("2001:db8:1::/48", "2001:db8:1:ffff::1", "2001:db8:2::1"),
    ("2001:db8::1", "2001:db8:0::1", "2001:db8::2"),
    ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
]
WRONG = [
    ("network", "203.0.113.0/7", "/value"),
    ("network", "203.0.113.9/24", "/value"),
    ("network", "2001:db8::/80", "/value"),
    ("network", "example.com", "/value"),
    ("principal", "alice", "/value"),
    ("instrument", "4242 4242 4242 4242", "/value"),
    ("device", "", "/value"),
    ("city", "Pune", "/kind"),
]


async def ask(counter: Any, verb: str, path: str, body: Any = None, who: str = "frida", match: str = "") -> Any:
    headers = {"Authorization": f"Bearer {who}"} | ({"If-Match": match} if match else {})
    return await counter.http.request(verb, f"{FRAUD}{path}", json=body, headers=headers)


async def block(counter: Any, kind: str, value: str, **more: Any) -> Any:
    return await ask(counter, "POST", "/lists/block", {"kind": kind, "value": value, "reason": WHY, **more})


@pytest.fixture
async def guarded(open_counter: Any) -> Any:
    return await open_counter(fraud=only(blocklist=BlocklistRule()))


async def test_somebody_on_the_list_does_not_pay_until_they_are_taken_off(guarded: Any) -> None:
    made = await block(guarded, "principal", ALICE)
    assert made.status_code == 201
    entry = made.json()
    assert (entry["kind"], entry["value"], entry["reason"], entry["expires_at"]) == (
        "principal", str(Actor("alice").id), WHY, None,
    )  # fmt: skip
    refused = await guarded.pay()
    assert (refused.status_code, refused.json()["reason"]) == (402, "blocked")
    assert (await guarded.pay(who="bob")).status_code == 201
    assert (await ask(guarded, "GET", "/lists/block")).json() == {"items": [entry], "next": None}
    assert (await ask(guarded, "GET", "/lists/block?kind=device")).json()["items"] == []
    assert (await block(guarded, "principal", ALICE)).status_code == 409
    assert (await ask(guarded, "DELETE", f"/lists/block/{entry['id']}")).status_code == 204
    assert (await ask(guarded, "DELETE", f"/lists/block/{entry['id']}")).status_code == 404
    assert (await guarded.pay()).status_code == 201
    changes = [one for one in await rows(guarded.kit, AuditRow) if one.action == "payments.fraud.list_changed"]
    told = [(one.actor, one.target_id, one.details["change"], one.details["kind"]) for one in changes]
    assert told == [(Actor("frida").id, entry["id"], change, "principal") for change in ("added", "removed")]


async def test_networks_of_both_kinds_are_matched(guarded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when only the address itself is looked for."""
    for network, inside, outside in NETWORKS:
        made = await block(guarded, "network", network)
        assert made.status_code == 201, network
        for address, status in ((inside, 402), (outside, 201)):
            monkeypatch.setattr(guarded.http._transport, "client", (address, 123))
            assert (await guarded.pay()).status_code == status, address
        await ask(guarded, "DELETE", f"/lists/block/{made.json()['id']}")


async def test_of_those_who_list_the_same_at_once_one_is_first(guarded: Any) -> None:
    answers = await raced(block(guarded, "principal", ALICE) for _ in range(6))
    assert sorted(one.status_code for one in answers) == [201] + [409] * 5
    assert len(await rows(guarded.kit, FraudListRow)) == 1


async def test_an_entry_ends_and_can_be_made_again(guarded: Any, clock: Any) -> None:
    until = rfc3339(clock.now() + timedelta(hours=1))
    assert (await block(guarded, "principal", ALICE, expires_at=until)).status_code == 201
    assert (await guarded.pay()).status_code == 402
    clock.move(3600)
    assert (await guarded.pay()).status_code == 201
    assert (await block(guarded, "principal", ALICE, expires_at=until)).json()["pointer"] == "/expires_at"
    assert (await block(guarded, "principal", ALICE)).status_code == 201
    assert (await guarded.pay()).status_code == 402
    assert len(await rows(guarded.kit, FraudListRow)) == 1


async def test_no_table_holds_who_is_listed_and_another_tenants_hash_is_another(guarded: Any) -> None:
    """Red when a value is stored beside its hash, or the hash is not keyed by the tenant."""
    device = "device-of-a-thief"
    assert (await block(guarded, "device", device)).status_code == 201
    (row,) = await rows(guarded.kit, FraudListRow)
    async with guarded.kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
        raw = await (await ctx.session.connection()).exec_driver_sql("SELECT * FROM payments_fraud_list")
        assert device not in str(raw.mappings().all())
        audited = await (await ctx.session.connection()).exec_driver_sql("SELECT * FROM corekit_audit")
        assert device not in str(audited.mappings().all())
        mac = hashed(ctx, "device", device)
    async with replace(guarded.kit.caller(), tenant=uuid7()).system(PURPOSE).begin(readonly=True) as ctx:
        assert row.mac == mac != hashed(ctx, "device", device)


async def test_what_cannot_be_on_the_list_is_said(guarded: Any) -> None:
    for kind, value, pointer in WRONG:
        refused = await block(guarded, kind, value)
        assert (refused.status_code, refused.json()["pointer"]) == (422, pointer), value
    assert (await ask(guarded, "GET", "/lists/friends")).status_code == 404
    assert await rows(guarded.kit, FraudListRow) == []


async def test_a_rule_is_changed_by_its_version_and_stands_instead_of_the_settings(guarded: Any) -> None:
    """Red when the settings win, or the version is not looked at under the row's lock."""
    before = (await ask(guarded, "GET", "/rules")).json()
    assert [(one["name"], one["mode"], one["version"]) for one in before] == [
        ("blocklist", "on", 0), ("amount", "off", 0), ("velocity", "off", 0), ("duplicate", "off", 0),
        ("new_account", "off", 0),
    ]  # fmt: skip
    assert (await ask(guarded, "PUT", "/rules/amount", CHANGED)).status_code == 428
    answers = await raced(ask(guarded, "PUT", "/rules/amount", CHANGED, match='"0"') for _ in range(4))
    assert sorted(one.status_code for one in answers) == [200, 412, 412, 412]
    (changed,) = [one for one in answers if one.status_code == 200]
    assert (changed.headers["ETag"], changed.json()["version"], changed.json()["parameters"]["outcome"]) == (
        '"1"', 1, "block",
    )  # fmt: skip
    assert (await guarded.pay()).status_code == 402
    (decision,) = (await ask(guarded, "GET", "/decisions?rule=amount&shadow=false")).json()["items"]
    assert (decision["version"], decision["facts"]["why"]) == (1, "above the maximum")
    lenient = {**CHANGED, "mode": "shadow"}
    assert (await ask(guarded, "PUT", "/rules/amount", lenient, match='"1"')).status_code == 200
    assert (await guarded.pay()).status_code == 201
    (seen,) = (await ask(guarded, "GET", "/decisions?shadow=true")).json()["items"]
    assert (seen["outcome"], seen["version"]) == ("block", 2)
    changes = [one for one in await rows(guarded.kit, AuditRow) if one.action == "payments.fraud.rule_changed"]
    assert [(one.target_id, one.details["before"]["mode"], one.details["after"]["mode"]) for one in changes] == [
        ("amount", "off", "on"), ("amount", "on", "shadow"),
    ]  # fmt: skip


async def test_parameters_are_read_as_strictly_as_settings(guarded: Any) -> None:
    for parameters, pointer in (
        ({"bounds": {"INR": {"maximum": -1}}}, "/parameters/bounds"),
        ({"outcome": "allow"}, "/parameters/outcome"),
        ({"most": 5}, "/parameters"),
    ):
        body = {**CHANGED, "parameters": parameters}
        refused = await ask(guarded, "PUT", "/rules/amount", body, match='"0"')
        assert refused.status_code == 422
        assert refused.json()["pointer"].startswith(pointer)
    assert (await ask(guarded, "PUT", "/rules/moon", CHANGED, match='"0"')).status_code == 404


async def test_nobody_else_sees_or_changes_any_of_it(guarded: Any) -> None:
    entry = {"kind": "principal", "value": ALICE, "reason": WHY}
    routes: list[tuple[str, str, Any]] = [
        ("GET", "/lists/block", None), ("POST", "/lists/block", entry), ("DELETE", "/lists/block/frd_1", None),
        ("GET", "/rules", None), ("PUT", "/rules/amount", CHANGED), ("GET", "/decisions", None),
    ]  # fmt: skip
    for verb, path, body in routes:
        for who in ("alice", "rita", "olga"):
            assert (await ask(guarded, verb, path, body, who, match='"0"')).status_code == 403, path
