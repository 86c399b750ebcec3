"""What happens to payments by itself: providers act and tell, time passes, people's banks judge, and kits end."""

from typing import Any

import machine_rules as rules  # beside this file
from hypothesis import strategies as st
from machine_base import limited
from machine_model import Op, Paid
from machine_verbs import FAULTS, PICKS, Verbs

from corekit.contracts.payments import Evidence


class Events(Verbs):
    """The rules of all the rest."""

    @limited(
        6,
        when=lambda self: self.ops("authorize", "requires_action", "canceled", "unknown", "sending"),
        at=PICKS,
        approve=st.booleans(),
    )
    def act(self, at: int, approve: bool) -> None:
        """Be the payer, where one is asked to act; nobody has been told of it then."""
        waiting = self.world.wire.objects("state = 'requires_action'")
        if waiting:
            self.world.wire.approve(self.pick(waiting, at)["ref"], approve=approve)

    @limited(3, when=lambda self: self.ops("capture", "failed") or self.ops("refund", "failed"), at=PICKS)
    def succeed_late(self, at: int) -> None:
        """Have the provider do what it had refused."""
        refused = self.world.wire.objects("state = 'failed' AND kind IN ('capture', 'refund')")
        if refused:
            self.world.wire.succeed_late(self.pick(refused, at)["ref"])

    @limited(2, when=lambda self: self.ops("capture", "succeeded"), at=PICKS)
    def dispute(self, at: int) -> None:
        """Be the payer who wants their money back."""
        if taken := self.ops("capture", "succeeded"):
            ref = str(self.pick(taken, at).ref)
            word = self.world.wire.be_disputed(ref)
            self.words += [] if word is None else [(ref, word)]

    @limited(4, when=lambda self: self.words, at=PICKS, verdict=st.sampled_from(["under_review", "won", "lost"]))
    def judge(self, at: int, verdict: Any) -> None:
        """Be the payer's bank."""
        waiting = self.world.wire.objects("kind = 'dispute' AND state = 'pending'")
        if not waiting:
            return
        ref = self.pick(waiting, at)["ref"]
        word = self.world.wire.be_judged(ref, verdict)
        of = next((of for of, known in self.words if known.provider_ref == ref), None)
        self.words += [] if of is None else [(of, word)]

    @limited(
        5, when=lambda self: self.words or self.ops("capture", "succeeded"), ats=st.lists(PICKS, min_size=1, max_size=3)
    )
    def hear_of_disputes(self, ats: list[int]) -> None:
        """Have what was said of disputes come, in any order and again, and what nobody has said yet."""
        known = {word.provider_ref for _, word in self.words}
        for ref in sorted({str(op.ref) for op in self.ops("capture", "succeeded")}):
            self.words += [(ref, word) for word in self.world.wire.told_of(ref) if word.provider_ref not in known]
        for at in ats if self.words else []:
            self._tell(*self.pick(self.words, at))

    def ops(self, kind: str | None = None, *states: str) -> list[Op]:
        """Pick operations of a kind, in a state."""
        every = [op for paid in self.paid for op in paid.ops]
        return [op for op in every if kind in {None, op.kind} and (not states or op.state in states)]

    def _tell(self, of: str, word: Evidence) -> None:
        paid, op = next((paid, op) for paid in self.paid for op in paid.ops if op.ref == of and op.kind == "capture")
        self.sound = False
        self.world.hear_of_dispute(of, word)
        said = (word.state, word.stage, word.occurred_at.timestamp())
        paid.hear_of_dispute(op, str(word.provider_ref), word.amount.minor if word.amount is not None else 0, said)
        self.bind()

    @limited(5, ats=st.lists(st.integers(0, 20), min_size=1, max_size=4))
    def notices(self, ats: list[int]) -> None:
        """Have some of the provider's notices come: old and new, in any order, and again."""
        told = self.world.wire.notices()
        self._notify([self.pick(told, at) for at in ats] if told else [])

    def _notify(self, chosen: list[Any]) -> None:
        self.sound = False
        for headers, raw in chosen:
            assert self.world.take([(headers, raw)]) == (raw not in self.seen)
            self.seen.add(raw)
            for call in self.world.wire.drain():
                paid, op = self.of(call.of)
                rules.noticed(paid, op, [call])

    @limited(10, when=lambda self: any(op.open for op in self.ops()), fault=FAULTS)
    def sweep(self, fault: Any) -> None:
        """Drive what is due; the first call may fail."""
        due = set(self.world.due())
        self.drive([op for paid in self.paid for op in paid.ops if op.id in due], fault)

    @limited(8, when=lambda self: any(paid.hand is not None for paid in self.paid), at=PICKS, fault=FAULTS)
    def drive_on(self, at: int, fault: Any) -> None:
        """Drive what is in hand, as a request that comes again would."""
        hand = [paid.hand for paid in self.paid if paid.hand is not None]
        if hand:
            self.drive([self.pick(hand, at)], fault)

    @limited(50, seconds=st.sampled_from([10, 10, 70, 70, 70, 300, 300, 3600, 21 * 3600, 25 * 3600, 8 * 24 * 3600]))
    def wait(self, seconds: int) -> None:
        """Let time pass, at the provider too."""
        self.world.clock.move(seconds)
        self.world.wire.let_holds_lapse()

    @limited(4)
    def reconcile(self) -> None:
        """Hold what the provider lists against the books."""
        self.sound = False
        assert self.world.list_all()
        self._follow_looks()

    @limited(
        3, when=lambda self: any(op.expires is not None and op.expires <= self.now for op in self.ops("authorize"))
    )
    def expire(self) -> None:
        """End holds whose time has come: who is not shown as over at the provider is over by its own time."""
        self.sound = False
        self.world.expire_holds()
        for op in self._follow_looks():
            op.released = op.released or (op.expires is not None and op.expires <= self.now)

    def _follow_looks(self) -> list[Op]:
        """Follow what was shown to somebody who only looks; return whose it was."""
        seen = []
        for call in self.world.wire.drain():
            paid, op = self.of(call.of)
            if isinstance(call.heard, Evidence):
                rules.heard(paid, op, call.heard)
            seen.append(op)
        return seen

    @limited(3, when=lambda self: any(op.surplus for op in self.ops("capture")))
    def refund_surplus(self) -> None:
        """Give back what nobody owes; one at a time, and what is left of it."""
        self.sound = False
        wanted = sum([self._return(paid, one) for paid in self.paid for one in list(paid.ops)])
        assert self.world.refund_surplus() == wanted
        self.bind()

    def _return(self, paid: Paid, taken: Op) -> bool:
        of_it = [one for one in paid.ops if one.of is taken]
        left = taken.amount - sum(one.amount for one in of_it if one.state not in {"failed", "canceled"})
        waits = paid.hand is not None or any(one.kind == "refund" or one.open for one in of_it)
        if not (taken.kind == "capture" and taken.surplus and taken.state == "succeeded") or waits or left <= 0:
            return False
        paid.begin("refund", left, self.now, attempt=taken.attempt, surplus=True, of=taken)
        return True

    @limited(1)
    def restart(self) -> None:
        """End the kit, and start another one on the same database."""
        self.sound = False
        self.world.stop()
        self.world.start()

    def settle_down(self) -> None:
        """Review, judge, tell and sweep."""
        for paid in self.paid:
            if rules.review(paid) is None:
                self.review(self.paid.index(paid), "reject")
        self.hear_of_disputes([])
        for row in self.world.wire.objects("kind = 'dispute' AND state = 'pending'"):
            self.world.wire.be_judged(row["ref"], "lost")
        for of in sorted({of for of, _ in self.words}):
            for word in self.world.wire.told_of(of):
                self._tell(of, word)
        self._notify(self.world.wire.notices())
        self.sweep(None)
        self.expire()
        self.reconcile()
