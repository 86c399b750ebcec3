"""Counters: raised and read in one statement, in the transaction that they decide about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Executable, and_, bindparam, or_, text, update

from corekit.context import Context
from corekit.contracts.payments import PaymentCounter
from corekit.data.base import table_of
from corekit.values import Money
from corekit_payments.fraud.rows import FraudCounterRow
from corekit_payments.fraud.settings import Scope

MINUTE, HOUR, DAY = 60, 3600, 86400  # seconds of the windows, which begin at full ones in UTC
TABLE = table_of(FraudCounterRow)
_NUMBER = "*"


@dataclass(frozen=True, order=True)
class Key:
    """One counter: of a scope, in a window, of attempts or of what they came to in a currency."""

    scope: Scope
    window: int
    currency: str = _NUMBER


class Counted:
    """What the counters stand at, this attempt included."""

    def __init__(self, values: Mapping[Key, int], currency: str) -> None:
        self._values = values
        self._currency = currency

    def n(self, scope: Scope, window: int) -> int:
        """Return the number of attempts; 0 where nobody counts."""
        return self._values.get(Key(scope, window), 0)

    def sum(self, scope: Scope, window: int) -> int:
        """Return what they came to in the payment's currency, in minor units; 0 where nobody counts."""
        return self._values.get(Key(scope, window, self._currency), 0)

    def shown(self) -> list[PaymentCounter]:
        """List them."""
        numbers = sorted(key for key in self._values if key.currency == _NUMBER)
        return [
            PaymentCounter(
                scope=key.scope, window_s=key.window, n=self._values[key],
                sum=self._values.get(Key(key.scope, key.window, self._currency)),
            )
            for key in numbers
        ]  # fmt: skip


class Counters:
    """The counters of one attempt."""

    def __init__(self, ctx: Context, subjects: Mapping[Scope, str], amount: Money) -> None:
        self._ctx = ctx
        self._subjects = subjects
        self._amount = amount
        self._raised: list[dict[str, Any]] = []

    async def add(self, keys: Iterable[Key]) -> Counted:
        """Count this attempt; whoever counts the same waits until this transaction ends, and then sees it.

        All are raised by one statement in the order of their keys, or two that share them would wait for each other.
        """
        at = {self._scope(key): key for key in keys if key.scope in self._subjects}
        if not at:
            return Counted({}, self._amount.currency)
        self._raised = [self._row(scope, at[scope]) for scope in sorted(at)]
        given = {f"{name}_{n}": value for n, row in enumerate(self._raised) for name, value in row.items()}
        rows = await self._ctx.session.execute(_raise(len(self._raised)), given)
        values = {at[row.scope]: int(row.n if at[row.scope].currency == _NUMBER else row.sum) for row in rows}
        return Counted(values, self._amount.currency)

    async def take_back(self) -> None:
        """Take the amount out again, since it will not be paid; that it was tried stays counted."""
        summed = [
            and_(TABLE.c.scope == row["scope"], TABLE.c.window_start == row["window_start"])
            for row in self._raised
            if row["sum"]
        ]
        if summed:
            less = update(TABLE).where(or_(*summed)).values(sum=TABLE.c.sum - self._amount.minor)
            await self._ctx.session.execute(less, execution_options={"synchronize_session": False})

    def _scope(self, key: Key) -> str:
        return f"{key.scope}:{key.window}:{key.currency}:{self._subjects[key.scope]}"

    def _row(self, scope: str, key: Key) -> dict[str, Any]:
        number = key.currency == _NUMBER
        return {
            "scope": scope, "window_start": _start(self._ctx.now(), key.window), "tenant": self._ctx.tenant,
            "n": 1 if number else 0, "sum": 0 if number else self._amount.minor,
        }  # fmt: skip


@cache
def _raise(count: int) -> Executable:
    """Write the statement for so many counters; as text, since SQLAlchemy compiles rows of values each time anew."""
    rows = ", ".join(f"(:scope_{n}, :window_start_{n}, :tenant_{n}, :n_{n}, :sum_{n})" for n in range(count))
    raised = text(
        f"INSERT INTO {TABLE.name} (scope, window_start, tenant, n, sum) VALUES {rows}"  # noqa: S608  # names of ours
        f" ON CONFLICT (scope, window_start) DO UPDATE SET n = {TABLE.name}.n + excluded.n,"
        f" sum = {TABLE.name}.sum + excluded.sum RETURNING scope, n, sum"
    )
    return raised.bindparams(*(bindparam(f"{one.name}_{n}", type_=one.type) for n in range(count) for one in TABLE.c))


def _start(now: datetime, window: int) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + timedelta(seconds=int((now - epoch).total_seconds()) // window * window)
