"""The verbs of the machine: what people ask for, by the service or over HTTP, again, and where it is not theirs."""

from typing import Any

import machine_rules as rules  # beside this file
from hypothesis import strategies as st
from hypothesis.stateful import initialize
from machine_base import POINTLESS, Base, How, limited  # beside this file
from machine_model import Op, Paid

from corekit.contracts.payments import NewPayment, TokenMethod
from corekit.values import Money

QUICK = ["tok_ok", "tok_3ds", "tok_pending", "tok_late", "tok_refund_fails", "tok_dispute", "tok_declined"]
SLOW = ["tok_lost_before", "tok_lost_after", "tok_stored_500", "tok_slow_lookup"]
TOKENS = st.sampled_from(["tok_ok"] * 5 + QUICK + SLOW)
FAULTS: Any = st.sampled_from([*[None] * 6, "declined", "unsent", "lost before", "lost after", "killed before",
                               "killed after"])  # fmt: skip
HOWS = st.builds(How, st.sampled_from(["service", "service", "http", "http", "later"]), FAULTS)
AMOUNTS = st.sampled_from([300, 300, 400, 400, None, 700, 1000, 5000, 0])
PICKS = st.integers(0, 5)
MOST = 4  # payments of an example
REASON = "looked at by hand"


def paid_for(minor: int | None) -> Money | None:
    """Write an amount."""
    return None if minor is None else Money(minor, "INR")


def _payable(paid: Paid) -> bool:
    return paid.status() in {"requires_payment_method", "requires_action"}


def _held(paid: Paid) -> bool:
    return paid.status() in {"requires_capture", "partially_captured"} and paid.hand is None


def _taken(paid: Paid) -> bool:
    return paid.done("capture") > 0 and paid.hand is None and rules.refundable(paid) > 0


def _waits(paid: Paid) -> bool:
    return rules.review(paid) is None


class Verbs(Base):
    """The rules of what people do."""

    @initialize(means=TOKENS, manual=st.sampled_from([True, True, False]), how=HOWS)
    def begin(self, means: str, manual: bool, how: How) -> None:
        """Begin with a payment, so that every rule has something to work on."""
        self.create(1000, manual, means, True, how)

    @limited(
        4,
        when=lambda self: len(self.paid) < MOST,
        amount=st.sampled_from([1000, 1000, 1000, 1000, 777, 666, 555]),
        manual=st.sampled_from([True, True, False]),
        means=TOKENS,
        tries=st.sampled_from([True, True, True, False]),
        how=HOWS,
    )
    def create(self, amount: int, manual: bool, means: str, tries: bool, how: How) -> None:
        """Create a payment, and mostly try to pay."""
        paid = Paid(amount, manual)
        method = TokenMethod(token=means) if tries else None
        new = NewPayment(
            amount=Money(amount, "INR"), capture_method="manual" if manual else "automatic", method=method,
            confirm=tries,
        )  # fmt: skip
        body = {
            "amount": {"amount": amount, "currency": "INR"}, "capture_method": new.capture_method, "confirm": tries,
            "method": {"type": "token", "token": means} if tries else None,
        }  # fmt: skip

        def follow() -> Op | None:
            self.paid.append(paid)
            return self._try(paid) if tries else None

        verb = ("", body, lambda ctx: self.world.payments.create(ctx, new))
        self.asked(how, "alice", paid, verb, None, follow, quick=self._quick(paid, means))

    def _try(self, paid: Paid) -> Op:
        """Begin another attempt, which the rules of an amount may hold back or end."""
        made = paid.begin("authorize", paid.amount, self.now, attempt=1 + len(paid.ops))
        if paid.amount == 777:
            made.review = "fraud"
        elif paid.amount == 666:
            paid.end_locally(made, "failed", "blocked")
        return made

    def _quick(self, paid: Paid, means: str) -> bool:
        """Whether a request may wait for the outcome: the wait is the clock's on the wall."""
        return means in QUICK or paid.amount in {777, 666}

    @limited(10, when=lambda self: self.fitting(_payable), at=PICKS, means=TOKENS, how=HOWS)
    def confirm(self, at: int, means: str, how: How) -> None:
        """Try to pay, or again."""
        paid: Paid = self.pick(self.fitting(_payable), at)
        refused = rules.confirm(paid, self.now)

        def follow() -> Op:
            if paid.hand is not None:
                paid.end_locally(paid.hand, "canceled")
            return self._try(paid)

        body = {"method": {"type": "token", "token": means}}
        verb = (f"/{paid.id}/confirm", body,
                lambda ctx: self.world.payments.confirm(ctx, paid.id, TokenMethod(token=means), None))  # fmt: skip
        self.asked(how, "alice", paid, verb, refused, follow, quick=self._quick(paid, means))

    @limited(
        10,
        when=lambda self: self.fitting(_held),
        at=PICKS,
        minor=AMOUNTS,
        final=st.sampled_from([True, False, False]),
        how=HOWS,
    )
    def capture(self, at: int, minor: int | None, final: bool, how: How) -> None:
        """Take what is held, or a part of it, or too much."""
        paid: Paid = self.pick(self.fitting(_held), at)
        refused = rules.capture(paid, minor, self.now)

        def follow() -> Op:
            held = paid.winner
            assert held is not None
            amount = rules.capturable(paid) if minor is None else minor
            return paid.begin("capture", amount, self.now, attempt=held.attempt, final=final)

        body = {"final": final} | ({} if minor is None else {"amount": {"amount": minor, "currency": "INR"}})
        verb = (f"/{paid.id}/capture", body,
                lambda ctx: self.world.payments.capture(ctx, paid.id, paid_for(minor), final=final))  # fmt: skip
        self.asked(how, "clara", paid, verb, refused, follow)

    @limited(10, when=lambda self: self.fitting(_taken), at=PICKS, minor=AMOUNTS, how=HOWS)
    def refund(self, at: int, minor: int | None, how: How) -> None:
        """Give back, or too much."""
        paid: Paid = self.pick(self.fitting(_taken), at)
        refused = rules.refund(paid, minor)

        def follow() -> Op:
            held = paid.winner
            assert held is not None
            amount = rules.refundable(paid) if minor is None else minor
            return paid.begin("refund", amount, self.now, attempt=held.attempt)

        body = {"reason": "torn"} | ({} if minor is None else {"amount": {"amount": minor, "currency": "INR"}})
        verb = (f"/{paid.id}/refunds", body,
                lambda ctx: self.world.payments.refund(ctx, paid.id, paid_for(minor), "torn"))  # fmt: skip
        self.asked(how, "clara", paid, verb, refused, follow)

    @limited(
        4,
        when=lambda self: self.fitting(lambda paid: paid.held or _payable(paid)),
        at=PICKS,
        who=st.sampled_from(["alice", "clara"]),
        how=HOWS,
    )
    def cancel(self, at: int, who: str, how: How) -> None:
        """Cancel, as the payer or at the desk."""
        paid: Paid = self.pick(self.fitting(lambda paid: paid.held or _payable(paid)), at)
        refused = rules.cancel(paid, who, self.now)

        def follow() -> Op | None:
            if paid.cancel_requested or paid.status() == "canceled":
                return None
            if paid.hand is not None:
                paid.end_locally(paid.hand, "canceled")
            if paid.winner is None:
                paid.cancel_requested = True
                return None
            return paid.begin("void", paid.winner.amount, self.now, attempt=paid.winner.attempt)

        verb = (f"/{paid.id}/cancel", {"reason": "no"}, lambda ctx: self.world.payments.cancel(ctx, paid.id, "no"))
        self.asked(how, who, paid, verb, refused, follow)

    @limited(3, when=lambda self: self.fitting(_waits), at=PICKS, verdict=st.sampled_from(["accept", "reject"]))
    def review(self, at: int, verdict: Any) -> None:
        """Let go what is held back, or end it."""
        paid: Paid = self.pick(self.fitting(_waits), at)

        def follow() -> None:
            op = next(one for one in paid.ops if one.review == "fraud")
            op.review = None
            if verdict == "reject":
                paid.end_locally(op, "failed", "blocked")

        verb = ("", None, lambda ctx: self.world.payments.review(ctx, paid.id, verdict, REASON))
        self.asked(How("later"), "rita", paid, verb, rules.review(paid), follow)

    @limited(
        4,
        when=lambda self: self.pointless < POINTLESS,
        at=PICKS,
        verb=st.sampled_from(["confirm", "capture", "refund", "cancel", "review"]),
        who=st.sampled_from(["bob", "sue"]),
    )
    def stranger(self, at: int, verb: str, who: str) -> None:
        """Who does not see a payment is told that there is none, who merely sees it that it is not theirs to do."""
        paid: Paid = self.pick(self.paid, at)
        given: Any = {
            "confirm": (TokenMethod(token="tok_ok"), None), "capture": (None,), "refund": (None, "mine"),
            "cancel": ("mine",), "review": ("accept", REASON),
        }[verb]  # fmt: skip
        self.sound, self.pointless = False, self.pointless + 1
        got = self.world.ask(who, lambda ctx: getattr(self.world.payments, verb)(ctx, paid.id, *given))
        assert got == ("not-found" if who == "bob" else "refused")

    @limited(5, when=lambda self: self.requests, at=st.integers(0, 30))
    def repeat(self, at: int) -> None:
        """Ask again what was asked: what was answered once is answered for ever, byte for byte."""
        request = self.pick(self.requests, at)
        waits = request.op is None or not request.op.in_hand
        self.sound = False
        got = self.world.post(request.who, request.path, request.body, request.key, 10.0 if waits else 0.0)
        self.follow_driver(self.world.wire.drain())
        if request.reply is None:
            self.answered(request, got, waited=waits)
            return
        assert (got.status_code, got.content) == (request.reply.status_code, request.reply.content)
        assert got.headers["idempotent-replayed"] == "true"

    @limited(
        4,
        when=lambda self: self.requests and self.pointless < POINTLESS,
        at=st.integers(0, 30),
        other_path=st.booleans(),
    )
    def reuse(self, at: int, other_path: bool) -> None:
        """A key is good for what it was used for first."""
        self.pointless += 1
        request = self.pick(self.requests, at)
        verb = request.path.rpartition("/")[2]
        other: dict[str, Any] = {
            "": {"allow_duplicate": True}, "confirm": {"method": {"type": "token", "token": "tok_other"}},
            "capture": {"final": not request.body.get("final")}, "refunds": {"reason": "other"},
            "cancel": {"reason": "other"},
        }  # fmt: skip
        path, body = request.path, request.body | other[verb]
        if other_path:
            path, body = f"/{self.paid[0].id}/{'confirm' if verb == 'cancel' else 'cancel'}", {}
            body = other["confirm"] if verb == "cancel" else body
        got = self.world.post(request.who, path, body, request.key, 0.0)
        assert got.status_code == 422, got.text
        assert got.json()["type"].endswith(":idempotency-key-reused"), got.text
