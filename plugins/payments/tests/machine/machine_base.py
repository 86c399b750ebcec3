"""What the rules of the machine share: asking with a known outcome, following the wire, and comparing the two books."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from itertools import count
from typing import Any

import httpx
import machine_rules as rules  # beside this file
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from machine_model import FINAL, Op, Paid
from machine_wire import Fault, Passed
from machine_world import World

from corekit.context import Context
from corekit.values import typeid

_DONE = {"": 201, "refunds": 201}
_KEYS = count()
POINTLESS = 4  # verbs of an example that nothing calls for: they are refused, most of them


@dataclass(frozen=True)
class How:
    """By which way something is asked, and whether it is driven at once: over HTTP it is."""

    way: str = "service"
    fault: Fault | None = None


@dataclass
class Request:
    """A request under a key, and what was answered for good."""

    key: str
    who: str
    path: str
    body: Any
    op: Op | None
    reply: httpx.Response | None = None


def limited(times: int, *, when: Callable[[Any], object] = bool, **draws: Any) -> Any:
    """Make a rule that an example follows so often at most: one that is always possible must not fill it."""

    def made(verb: Callable[..., None]) -> Any:
        @wraps(verb)
        def counted(self: "Base", *given: Any, **drawn: Any) -> None:
            self.followed[verb.__name__] += 1
            verb(self, *given, **drawn)

        return precondition(lambda self: self.followed[verb.__name__] < times and when(self))(rule(**draws)(counted))

    return made


class Base(RuleBasedStateMachine):
    """One example: some payments of Alice's."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.empty()
        self.paid: list[Paid] = []
        self.requests: list[Request] = []
        self.words: list[tuple[str, Any]] = []  # what there is to say of disputes, and of what
        self.seen: set[bytes] = set()  # notices
        self.followed: Counter[str] = Counter()
        self.pointless = 0
        self.sound = True  # whether what was done was compared

    @property
    def now(self) -> float:
        """The time in seconds."""
        return self.world.clock.now().timestamp()

    def fitting(self, fits: Callable[[Paid], object]) -> list[Paid]:
        """List the payments of which something can be wanted; all of them, while there is room for pointless tries."""
        return [paid for paid in self.paid if fits(paid)] or (self.paid if self.pointless < POINTLESS else [])

    def pick(self, some: list[Any], at: int) -> Any:
        """Pick one, as the example says."""
        return some[at % len(some)] if some else None

    def asked(
        self,
        how: How,
        who: str,
        paid: Paid,
        verb: tuple[str, Any, Callable[[Context], Awaitable[Any]]],
        refused: str | None,
        follow: Callable[[], Op | None],
        *,
        quick: bool = True,
    ) -> None:
        """Ask for something in one of the ways; it has to be refused as the model says, or is followed by it."""
        self.sound = False
        self.pointless += refused is not None
        path, body, call = verb
        if how.way == "http":
            waits = refused is not None or (quick and how.fault is None)
            self.world.wire.fault = None if waits else how.fault
            self._posted(Request(f"k{next(_KEYS)}", who, path, body, None), paid, refused, follow, waits=waits)
            return
        got = self.world.ask(who, call)
        assert (got if isinstance(got, str) else None) == refused
        if refused is not None:
            return
        paid.id = paid.id or got.id
        op = follow()
        self.bind()
        if how.way == "service" and op is not None and op.in_hand:
            self.drive([op], how.fault)

    def _posted(
        self, request: Request, paid: Paid, refused: str | None, follow: Callable[[], Op | None], *, waits: bool
    ) -> None:
        got = self.world.post(request.who, request.path, request.body, request.key, 10.0 if waits else 0.0)
        if refused is not None:
            assert got.json()["type"].endswith(f":{refused}"), got.text
            return
        assert got.status_code in {200, 201, 202, 402, 503}, got.text
        shown = got.json()
        paid.id = paid.id or shown.get("payment") or shown["id"]
        op = follow()
        request.op = None if op is not None and op.review == "fraud" else op  # that is an answer: nothing is driven
        self.bind()
        self.follow_driver(self.world.wire.drain())
        self.requests.append(request)
        self.answered(request, got, waited=waits)

    def answered(self, request: Request, got: httpx.Response, *, waited: bool) -> None:
        """Hold an answer against what became of its operation; who has not waited may have been told less."""
        op, verb = request.op, request.path.rpartition("/")[2]
        declined = op is not None and op.state == "failed" and op.kind != "refund"
        known = {402 if declined else _DONE.get(verb, 200)}
        in_hand = {202, 503} if op is not None and (op.in_hand or not waited) else set()
        assert got.status_code in (in_hand if op is not None and op.in_hand else known | in_hand), got.text
        assert "idempotent-replayed" not in got.headers
        request.reply = got if got.status_code not in {202, 503} else None

    def bind(self) -> None:
        """Learn the names of what was begun; there has to be as much here as there."""
        rows = self.world.books()[1]
        for paid in self.paid:
            mine = [row for row in rows if typeid("pay", row.payment_id) == paid.id]
            for op, row in zip(paid.ops, mine, strict=False):
                op.id, op.reference = typeid("pop", row.id), row.reference

    def of(self, reference: str) -> tuple[Paid, Op]:
        """Find what a call was about."""
        found = ((paid, op) for paid in self.paid for op in paid.ops)
        return next((paid, op) for paid, op in found if reference in {op.reference, op.kind == "dispute" and op.ref})

    def drive(self, ops: list[Op], fault: Fault | None) -> None:
        """Drive operations."""
        self.sound = False
        self.world.drive([op.id for op in ops], fault)
        self.follow_driver(self.world.wire.drain())

    def follow_driver(self, passed: list[Passed]) -> None:
        """Let the model follow what a driver has done."""
        for call in passed:
            paid, op = self.of(call.of)
            rules.driven(paid, op, [call], self.now)

    def compare(self) -> None:
        """Hold the books against the model, and the provider's against both: what it has done it has done once."""
        payments, operations, wrong = self.world.books()
        assert wrong == []
        assert len(payments) == len(self.paid)
        for row in payments:
            paid = next(one for one in self.paid if one.id == typeid("pay", row.id))
            mine = [one for one in operations if one.payment_id == row.id]
            assert [(one.kind, one.amount, one.state, one.surplus, one.review) for one in mine] == [
                (one.kind, one.amount, one.state, one.surplus, one.review) for one in paid.ops
            ]
            shown = {name: getattr(row, name) for name in paid.totals()}
            assert shown == paid.totals()
            assert (row.status, row.refund_status, row.dispute_status) == (
                paid.status(), paid.refund_status(), paid.dispute_status(),
            )  # fmt: skip
        done = Counter(self.effects())
        assert not done or max(done.values()) == 1, "done twice"
        assert set(self.booked()) <= set(done), "booked and not done"
        self.sound = True

    def effects(self) -> list[tuple[str, str, int]]:
        """List what the provider has done: for which of our names (of a dispute, its own), what and how much."""
        effects = self.world.wire.journal.effects()
        return [(one.reference or one.ref, one.kind, one.amount) for one in effects if one.kind != "dispute_won"]

    def booked(self) -> list[tuple[str, str, int]]:
        """List the same as the model has it."""
        found = []
        for op in (op for paid in self.paid for op in paid.ops):
            first = next(one for paid in self.paid for one in paid.ops if op in paid.ops and one.attempt == op.attempt)
            along = op.kind == "capture" and op.ref == first.ref
            if op.state == "succeeded" or op.kind == "dispute":
                name = first.reference if along else str(op.ref) if op.kind == "dispute" else op.reference
                found.append((name, op.kind, op.amount))
        return found

    def rest(self) -> None:
        """Bring everything to rest, and compare once more, to the last account."""
        for at in range(8):
            self.world.clock.move(200 if at < 4 else 4 * 24 * 3600)
            self.world.wire.let_holds_lapse()
            self.settle_down()
            if at > 1 and not any(op.open and op.review is None for paid in self.paid for op in paid.ops):
                break
        self.compare()
        for op in (op for paid in self.paid for op in paid.ops):
            assert op.state in FINAL or op.review == "unknown", op
        over = {row["reference"] for row in self.world.wire.objects("state = 'canceled' AND kind = 'authorize'")}
        done = {one for one in self.effects() if one[0] not in over}
        assert done == {one for one in self.booked() if one[0] not in over}, "done and not booked"
        sums: Counter[str] = Counter()
        for paid in self.paid:
            for code, moved in paid.sums():
                sums[code] += moved
        accounts, items = self.world.accounts()
        assert accounts == {code: moved for code, moved in sums.items() if moved}
        assert items <= {"surplus"}

    def settle_down(self) -> None:
        """Do once what is done in the background, and what people have to do."""
        raise NotImplementedError
