"""The sandbox's disputes: objects beside what they dispute, whose money it takes at once and brings back when won."""

import sqlite3
from collections.abc import Mapping
from typing import Any, Literal
from uuid import uuid4

Verdict = Literal["under_review", "won", "lost"]
Row = dict[str, Any]
# What a word makes of a dispute: its state, and in the column `means` its stage.
_WORDS: Mapping[Verdict, tuple[str, str]] = {
    "under_review": ("pending", "under_review"),
    "won": ("canceled", ""),
    "lost": ("succeeded", ""),
}


def dispute(db: sqlite3.Connection, of: Row, amount: int, at: str) -> Row:
    """Open one: `of` is what was taken, its money is gone until it is won."""
    parent = of["parent"] or of["ref"]
    made: Row = db.execute(
        "INSERT INTO object (ref, reference, kind, means, state, amount, currency, automatic, parent, error, at, looks)"
        " VALUES (?, '', 'dispute', 'opened', 'pending', ?, ?, 0, ?, NULL, ?, 0) RETURNING *",
        (f"sb_{uuid4().hex}", amount, of["currency"], parent, at),
    ).fetchone()
    move(db, made, "dispute", at)
    return made


def judge(db: sqlite3.Connection, ref: str, verdict: Verdict, at: str) -> Row | None:
    """Move an open one on; None where there is none."""
    state, stage = _WORDS[verdict]
    changed: Row | None = db.execute(
        "UPDATE object SET state = ?, means = ?, at = ? WHERE ref = ? AND kind = 'dispute' AND state = 'pending'"
        " RETURNING *",
        (state, stage, at, ref),
    ).fetchone()
    if changed is not None and verdict == "won":
        move(db, changed, "dispute_won", at)
    return changed


def disputes_of(db: sqlite3.Connection, of: Row) -> list[Row]:
    """List those of a payment, the oldest first."""
    of_it = "SELECT * FROM object WHERE kind = 'dispute' AND parent = ? ORDER BY n"
    return [*db.execute(of_it, (of["parent"] or of["ref"],))]


def move(db: sqlite3.Connection, of: Row, kind: str, at: str) -> None:
    """Write down that money has moved."""
    db.execute(
        "INSERT INTO effect (at, key, reference, kind, amount, currency, ref, parent)"
        " VALUES (?, '', '', ?, ?, ?, ?, ?)",
        (at, kind, of["amount"], of["currency"], of["ref"], of["parent"]),
    )
