"""What the sandbox does with a call, by the token that the payer chose; every effect and every key is on disk first."""

import sqlite3
from datetime import datetime
from uuid import uuid4

from corekit.contracts.payments import OutcomeUnknown, ProviderCall, UpiIntentMethod, UpiQrMethod
from corekit.values import Clock
from corekit_payments.sandbox.court import Row, Verdict, dispute, disputes_of, judge
from corekit_payments.sandbox.journal import Journal

TOKENS = frozenset({
    "tok_ok", "tok_declined", "tok_funds", "tok_3ds", "tok_pending", "tok_upi_qr", "tok_lost_before", "tok_lost_after",
    "tok_stored_500", "tok_late", "tok_slow_lookup", "tok_refund_fails", "tok_upi_intent", "tok_dispute",
})  # fmt: skip
_STATES = {
    "tok_declined": ("failed", "declined"),
    "tok_funds": ("failed", "funds"),
    "tok_late": ("failed", "declined"),
    "tok_3ds": ("requires_action", None),
    "tok_upi_intent": ("requires_action", None),
    "tok_upi_qr": ("requires_action", None),
    "tok_pending": ("pending", None),
}
_LOST_ONCE = frozenset({"tok_lost_after", "tok_slow_lookup"})
_UPI = {UpiIntentMethod: "tok_upi_intent", UpiQrMethod: "tok_upi_qr"}
_UPI_MOST = 10**12  # paise: a link has no more digits
PAGE = 500  # objects of a list
_PATIENCE = 2  # looks after which what is pending or late has come about, and what hides is found


class Lost(OutcomeUnknown):
    """Its answer does not arrive."""


class Bank:
    """Works on a journal; `keys` says whether it knows a repeated call by its key."""

    def __init__(self, journal: Journal, clock: Clock, *, keys: bool = True) -> None:
        self._journal = journal
        self._clock = clock
        self._keys = keys

    def take(self, call: ProviderCall) -> Row:
        """Do what a call asks, once per key.

        Raises:
            OutcomeUnknown: as its token says (`Lost` where the answer goes astray), or its key is known with another
                call.

        """
        with self._journal.transaction() as db:
            times, found = self._known(db, call)
            if _token(call) == "tok_lost_before" and times == 1:
                lost = True  # not yet arrived, and its key is kept only to lose it no more than once
            elif found is None:
                found, lost = self._do(db, call), False
            else:
                lost = False
            lost |= _token(call) in _LOST_ONCE and times == 1
        if lost or found is None:
            raise Lost("the sandbox lost its answer")
        if _token(call) == "tok_stored_500":
            raise OutcomeUnknown("the sandbox has a fault, and keeps it")
        return found

    def fetch(self, ref: str) -> Row:
        """Return an object (OutcomeUnknown where there is none); what takes its time goes on with each look."""
        with self._journal.transaction() as db:
            found = self._look(db, "ref", ref)
            if found is not None and found["looks"] >= _PATIENCE and found["means"] in {"tok_pending", "tok_late"}:
                found = self._decide(db, found, approve=True)
        if found is None:
            raise OutcomeUnknown("the sandbox has no such object")
        return found

    def lookup(self, reference: str) -> Row | None:
        """Find an object by our reference."""
        with self._journal.transaction() as db:
            found = self._look(db, "reference", reference)
        hidden = found is not None and found["means"] == "tok_slow_lookup" and found["looks"] <= _PATIENCE
        return None if hidden else found

    def decide(self, ref: str, *, approve: bool) -> Row:
        """Be the payer who approves or refuses what waits for them (OutcomeUnknown where nothing does)."""
        with self._journal.transaction() as db:
            found = self._look(db, "ref", ref)
            if found is not None and found["state"] == "requires_action":
                return self._decide(db, found, approve=approve)
        raise OutcomeUnknown("nothing waits for a decision there")

    def dispute(self, ref: str) -> Row:
        """Be the payer who asks their bank for it back (OutcomeUnknown where nothing was taken, or is left)."""
        with self._journal.transaction() as db:
            found = self._find(db, "ref", ref)
            left = self._left(db, found["parent"] or ref) if found is not None else 0
            if found is not None and left > 0:
                return dispute(db, found, left, self._now())
        raise OutcomeUnknown("nothing was taken there that can be disputed")

    def disputes(self, ref: str) -> list[Row]:
        """List the disputes of what was taken."""
        with self._journal.transaction() as db:
            found = self._find(db, "ref", ref)
            return [] if found is None else disputes_of(db, found)

    def judge(self, ref: str, verdict: Verdict) -> Row:
        """Be the bank that decides (OutcomeUnknown where no dispute is open)."""
        with self._journal.transaction() as db:
            found = judge(db, ref, verdict, self._now())
        if found is None:
            raise OutcomeUnknown("no dispute is open there")
        return found

    def since(self, begun: datetime, after: int) -> list[Row]:
        """List a page of objects after the number of one that were made since a time, disputes left out."""
        listed = "SELECT * FROM object WHERE at >= ? AND kind <> 'dispute' AND n > ? ORDER BY n LIMIT ?"
        with self._journal.transaction() as db:
            return [*db.execute(listed, (begun.isoformat(), after, PAGE))]

    def last_notice(self, ref: str) -> Row | None:
        """Return what there was to be told of an object last."""
        with self._journal.transaction() as db:
            found: Row | None = db.execute("SELECT * FROM notice WHERE ref = ? ORDER BY n DESC", (ref,)).fetchone()
            return found

    def _known(self, db: sqlite3.Connection, call: ProviderCall) -> tuple[int, Row | None]:
        """Count a call by its key, and find what it did."""
        if not self._keys and _token(call) != "tok_lost_before":
            return 1, None
        fingerprint = f"{call.kind} {call.amount.minor} {call.amount.currency} {call.reference}"
        counted = "INSERT INTO sent VALUES (?, ?, NULL, 1) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING *"
        sent: Row = db.execute(counted, (call.key, fingerprint)).fetchone()
        if sent["fingerprint"] != fingerprint:
            raise OutcomeUnknown("the key is known with another call", mismatch=True)
        return sent["times"], None if sent["ref"] is None else self._find(db, "ref", sent["ref"])

    def _do(self, db: sqlite3.Connection, call: ProviderCall) -> Row:
        parent = None if call.kind == "authorize" else self._find(db, "ref", call.provider_ref or "")
        means = _token(call) if parent is None else parent["means"]
        state, error = self._outcome(db, call, parent, means)
        automatic = call.final if call.kind == "capture" else call.capture_method == "automatic"  # what it ends
        made: Row = db.execute(
            "INSERT INTO object (ref, reference, kind, means, state, amount, currency, automatic, parent, error, at,"
            " looks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) RETURNING *",
            (f"sb_{uuid4().hex}", call.reference, call.kind, means, state, call.amount.minor, call.amount.currency,
             automatic, parent["ref"] if parent else "", error, self._now()),
        ).fetchone()  # fmt: skip
        db.execute("UPDATE sent SET ref = ? WHERE key = ?", (made["ref"], call.key))
        if state == "succeeded":
            self._effect(db, made, call.key)
        self._tell(db, made)
        return made

    def _outcome(
        self, db: sqlite3.Connection, call: ProviderCall, parent: Row | None, means: str
    ) -> tuple[str, str | None]:
        if call.kind == "authorize":
            rupees = call.amount.currency == "INR" and call.amount.minor < _UPI_MOST
            known = means in TOKENS and (rupees or means not in _UPI.values())
            good = ("requires_action" if call.challenge else "succeeded", None)
            return _STATES.get(means, good) if known else ("failed", "rejected")
        if not self._has_room(db, call, parent):
            return "failed", "rejected"
        return ("failed", "declined") if (call.kind, means) == ("refund", "tok_refund_fails") else ("succeeded", None)

    def _has_room(self, db: sqlite3.Connection, call: ProviderCall, parent: Row | None) -> bool:
        """Tell whether an authorisation has what is to be captured, released or given back."""
        if parent is None or parent["state"] != "succeeded":
            return False
        if call.kind == "refund":
            return call.amount.minor <= self._left(db, parent["ref"])
        moved = self._moved(db, parent["ref"])
        held: int = parent["amount"] - moved.get("capture", 0) - moved.get("void", 0)
        return call.amount.minor <= held and not self._is_closed(db, parent["ref"])

    def _is_closed(self, db: sqlite3.Connection, parent: str) -> bool:
        """Tell whether a final capture has released the rest."""
        final = (
            "SELECT 1 FROM effect JOIN object ON object.ref = effect.ref"
            " WHERE effect.parent = ? AND object.kind = 'capture' AND object.automatic"
        )
        return db.execute(final, (parent,)).fetchone() is not None

    def _left(self, db: sqlite3.Connection, parent: str) -> int:
        """Return what was taken and has not gone back."""
        moved = self._moved(db, parent)
        gone = moved.get("refund", 0) + moved.get("dispute", 0) - moved.get("dispute_won", 0)
        return moved.get("capture", 0) - gone

    def _moved(self, db: sqlite3.Connection, parent: str) -> dict[str, int]:
        summed = "SELECT kind, SUM(amount) AS sum FROM effect WHERE parent = ? GROUP BY kind"
        return {row["kind"]: row["sum"] for row in db.execute(summed, (parent,))}

    def _decide(self, db: sqlite3.Connection, waiting: Row, *, approve: bool) -> Row:
        state, error = ("succeeded", None) if approve else ("failed", "authentication")
        changed: Row = db.execute(
            "UPDATE object SET state = ?, error = ? WHERE ref = ? RETURNING *", (state, error, waiting["ref"])
        ).fetchone()
        if approve and waiting["state"] != "succeeded":
            self._effect(db, changed, "")
        if changed["state"] != waiting["state"]:
            self._tell(db, changed)
        return changed

    def _tell(self, db: sqlite3.Connection, of: Row) -> None:
        told = (self._now(), *(of[name] for name in ("ref", "reference", "kind", "state")))
        db.execute("INSERT INTO notice (at, ref, reference, kind, state) VALUES (?, ?, ?, ?, ?)", told)

    def _effect(self, db: sqlite3.Connection, of: Row, key: str) -> None:
        kinds = ["authorize", "capture"] if of["kind"] == "authorize" and of["automatic"] else [of["kind"]]
        for kind in kinds:
            db.execute(
                "INSERT INTO effect (at, key, reference, kind, amount, currency, ref, parent)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (self._now(), key, of["reference"], kind, of["amount"], of["currency"], of["ref"],
                 of["parent"] or of["ref"]),
            )  # fmt: skip
        if "capture" in kinds and of["means"] == "tok_dispute":
            dispute(db, of, of["amount"], self._now())

    def _look(self, db: sqlite3.Connection, column: str, value: str) -> Row | None:
        looked = f"UPDATE object SET looks = looks + 1 WHERE {column} = ? RETURNING *"  # noqa: S608  # two names of ours
        rows: list[Row] = db.execute(looked, (value,)).fetchall()
        return rows[-1] if rows else None

    def _find(self, db: sqlite3.Connection, column: str, value: str) -> Row | None:
        found: Row | None = db.execute(f"SELECT * FROM object WHERE {column} = ?", (value,)).fetchone()  # noqa: S608
        return found

    def _now(self) -> str:
        return self._clock.now().isoformat()


def _token(call: ProviderCall) -> str:
    return _UPI.get(type(call.method)) or getattr(call.method, "token", "") or ""  # type: ignore[arg-type]  # or no UPI
