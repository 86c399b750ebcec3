"""A payment as the design tells it: plain Python, which asks nothing of the plugin; times are seconds."""

from collections.abc import Iterator
from dataclasses import dataclass, field

RANKS = {
    name: rank
    for rank, name in enumerate(
        ["created", "sending", "unknown", "requires_action", "pending", "canceled", "failed", "succeeded"]
    )
}
IN_HAND, FINAL = {"created", "sending", "unknown"}, {"canceled", "failed", "succeeded"}
KEY_WINDOW, ACTION_TTL, LEASE, HOLD, MOST_ATTEMPTS = 20 * 3600, 24 * 3600, 60, 7 * 24 * 3600, 5


@dataclass
class Op:
    """One operation; `at` is when it was wanted, `sent` when it last went out, `ref` its name there."""

    kind: str
    amount: int
    attempt: int
    at: float
    state: str = "created"
    final: bool = True
    surplus: bool = False
    superseded: bool = False
    released: bool = False
    of: "Op | None" = None
    error: str | None = None
    review: str | None = None
    sends: int = 0
    unsent: int = 0
    sent: float = 0
    leased: float = -1
    ref: str | None = None
    expires: float | None = None
    stage: str | None = None
    stage_at: float = 0
    reference: str = ""
    id: str = ""

    @property
    def open(self) -> bool:
        """Whether it may still move money that nobody knows of."""
        return self.state not in FINAL

    @property
    def in_hand(self) -> bool:
        """Whether somebody has work with it."""
        return self.state in IN_HAND


@dataclass
class Paid:
    """One payment."""

    amount: int
    manual: bool
    id: str = ""
    cancel_requested: bool = False
    ops: list[Op] = field(default_factory=list)

    def counted(self, *kinds: str) -> list[Op]:
        """Pick the operations whose money is this payment's."""
        return [one for one in self.ops if one.kind in kinds and not one.surplus]

    def done(self, kind: str) -> int:
        """Sum up what has moved."""
        return sum(one.amount for one in self.counted(kind) if one.state == "succeeded")

    def pending(self, kind: str) -> int:
        """Sum up what may move."""
        return sum(one.amount for one in self.counted(kind) if one.open)

    def totals(self) -> dict[str, int]:
        """Say what the columns have to be (§2)."""
        return {
            "authorized": self.done("authorize"),
            "captured": self.done("capture"),
            "capture_pending": self.pending("capture"),
            "refunded": self.done("refund"),
            "refund_pending": self.pending("refund"),
            "disputed": self.done("dispute") + self.pending("dispute"),
        }

    @property
    def winner(self) -> Op | None:
        """The authorisation that counts."""
        return next((one for one in self.counted("authorize") if one.state == "succeeded"), None)

    @property
    def hand(self) -> Op | None:
        """What is in hand."""
        return next((one for one in self.ops if one.in_hand), None)

    @property
    def held(self) -> bool:
        """Whether something can still be captured."""
        over = any(
            one.state == "succeeded" and (one.released or one.kind == "void" or (one.kind == "capture" and one.final))
            for one in self.counted("authorize", "capture", "void")
        )
        return not over and self.done("authorize") > self.done("capture")

    def status(self) -> str:
        """Say what it is: the first rule of the table in §2 that fits."""
        chain = self.counted("authorize", "capture", "void")
        current = [one for one in chain if one.open]
        if any(one.review for one in self.ops):
            return "needs_review"
        if self.done("capture"):
            return "partially_captured" if self.held else "succeeded"
        if self.held:
            return "requires_capture"
        voided = any(one.kind == "void" and one.state == "succeeded" for one in chain)
        lapsed = any(one.released for one in chain) and not any(one.kind != "authorize" for one in current)
        if voided or lapsed:
            return "canceled"
        if current:
            return "requires_action" if current[-1].state == "requires_action" else "processing"
        return "canceled" if self.cancel_requested else self._unpaid()

    def _unpaid(self) -> str:
        tries = [one for one in self.ops if one.kind == "authorize"]
        over = tries and tries[-1].state == "failed" and (
            tries[-1].error in {"blocked", "risk"} or len(tries) >= MOST_ATTEMPTS
        )  # fmt: skip
        return "failed" if over else "requires_payment_method"

    def refund_status(self) -> str:
        """Say what is given back."""
        if self.pending("refund"):
            return "pending"
        if self.done("refund"):
            return "full" if self.done("refund") == self.done("capture") else "partial"
        return "failed" if self.counted("refund") else "none"

    def dispute_status(self) -> str:
        """Say how the payer's bank sees it."""
        every = self.counted("dispute")
        current = [one for one in every if one.open]
        if current:
            return current[-1].stage or "opened"
        return {"succeeded": "lost", "canceled": "won"}[every[-1].state] if every else "none"

    def begin(self, kind: str, amount: int, now: float, *, attempt: int | None = None, **more: object) -> Op:
        """Want something; a refused operation whose money that takes comes too late should it succeed after all."""
        made = Op(kind, amount, self.ops[-1].attempt if attempt is None else attempt, now, **more)  # type: ignore[arg-type]
        rivals = {"capture": "capture", "void": "capture", "refund": "refund"}.get(kind)
        if rivals is not None and not made.surplus:
            room = self.done("capture") if kind == "refund" else self.done("authorize")
            alive = [one for one in self.counted(rivals) if not one.superseded]
            wanted = sum(one.amount for one in alive) + amount
            for one in alive:
                if one.state not in {"failed", "canceled"}:
                    continue
                if kind == "void" or (kind == "capture" and made.final) or wanted > room:
                    one.superseded, wanted = True, wanted - one.amount
        self.ops.append(made)
        return made

    def hear(self, op: Op, state: str, ref: str | None = None, *, at: float = 0, error: str | None = None) -> None:
        """Let evidence of the provider's do what it does: it moves an operation up only, and money only once."""
        if op.state == "created":
            return
        op.ref = op.ref or ref
        if op.kind == "authorize" and op.state == "succeeded" and state == "canceled":
            op.released = True
        if RANKS[state] <= RANKS[op.state]:
            return
        op.state, op.error = state, error if state == "failed" else None
        op.review = op.review if state == "unknown" else None
        if state == "succeeded":
            self._move(op, at)

    def _move(self, op: Op, at: float) -> None:
        """Decide whose money it is that has moved."""
        if op.kind == "authorize":
            others = [one for one in self.counted("authorize") if one is not op]
            op.surplus = self.cancel_requested or any(one.state == "succeeded" for one in others)
            if self.manual:
                op.expires = at + HOLD
            else:
                along = {"state": "succeeded", "surplus": op.surplus, "ref": op.ref}
                self.begin("capture", op.amount, op.at, attempt=op.attempt, **along)
        elif op.kind in {"capture", "refund"} and not op.surplus:
            room = self.done("capture") if op.kind == "refund" else self.done("authorize")
            op.surplus = op.superseded or self.done(op.kind) + self.pending(op.kind) > room

    def hear_of_dispute(self, taken: Op, ref: str, amount: int, said: tuple[str, str | None, float]) -> None:
        """Open a dispute of what was taken, or move one on: the newest word on its stage counts."""
        state, stage, at = said
        op = next((one for one in self.ops if one.kind == "dispute" and one.ref == ref), None)
        if op is None:
            op = self.begin("dispute", amount, at, attempt=taken.attempt, state="pending", surplus=taken.surplus,
                            of=taken if taken.surplus else None, ref=ref, stage="opened")  # fmt: skip
        if not op.open:
            return
        if stage is not None and (at, stage) >= (op.stage_at, op.stage or ""):  # opened, then under_review
            op.stage, op.stage_at = stage, at
        self.hear(op, state)

    def end_locally(self, op: Op, state: str, error: str | None = None) -> None:
        """End what was never sent, or what its payer has left lying."""
        op.state, op.error, op.review = state, error, None

    def sums(self) -> Iterator[tuple[str, int]]:
        """Say what this payment has put on each account: debits less credits (§7)."""
        for one in self.ops:
            moved, lost = one.state == "succeeded", one.kind == "dispute" and one.state == "succeeded"
            owed = "suspense" if one.surplus else "payable:merchant"
            if one.kind == "capture" and moved:
                yield from (("clearing:wire", one.amount), (owed, -one.amount))
            elif one.kind == "refund" and moved:
                yield from ((owed, one.amount), ("clearing:wire", -one.amount))
            elif one.kind == "refund" and one.open and one.of is None:
                yield from (("payable:merchant", one.amount), ("refunds", -one.amount))
            elif one.kind == "dispute" and (lost or one.open):
                yield from ((owed if lost else "disputes", one.amount), ("clearing:wire", -one.amount))
