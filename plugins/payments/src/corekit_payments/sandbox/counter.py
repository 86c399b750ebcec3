"""The counter at which a sandbox's bank is asked: in this process, or over HTTP in one of its own."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Protocol

import msgspec

from corekit.contracts.payments import OutcomeUnknown, ProviderCall
from corekit.contracts.payments.objects import ErrorClass, OperationKind, OperationState
from corekit_payments.calling import Line
from corekit_payments.sandbox.bank import Bank
from corekit_payments.sandbox.court import Row, Verdict

PATH = "/v1/ask"
INVALID, MISMATCH = 400, 422  # what was asked is not a question; its key is known with another call
Text = Annotated[str, msgspec.Meta(max_length=200)]
Answer = Row | list[Row] | None


class Asked(msgspec.Struct, frozen=True, kw_only=True, tag_field="what", forbid_unknown_fields=True):
    """A question: its tag is a method of `Bank`, its fields are what that takes."""

    def of(self, bank: Bank) -> Answer:
        """Have it answered (OutcomeUnknown)."""
        answer: Answer = getattr(bank, str(self.__struct_config__.tag))(**msgspec.structs.asdict(self))
        return answer


class Take(Asked, frozen=True, kw_only=True, tag="take"):
    """Do what a call asks."""

    call: ProviderCall


class Fetch(Asked, frozen=True, kw_only=True, tag="fetch"):
    """Show an object."""

    ref: Text


class Lookup(Asked, frozen=True, kw_only=True, tag="lookup"):
    """Find one by our reference."""

    reference: Text


class Decide(Asked, frozen=True, kw_only=True, tag="decide"):
    """Be the payer."""

    ref: Text
    approve: bool


class Dispute(Asked, frozen=True, kw_only=True, tag="dispute"):
    """Be the payer who wants it back."""

    ref: Text


class Disputes(Asked, frozen=True, kw_only=True, tag="disputes"):
    """List the disputes of an object."""

    ref: Text


class Judge(Asked, frozen=True, kw_only=True, tag="judge"):
    """Be the bank that decides one."""

    ref: Text
    verdict: Verdict


class Since(Asked, frozen=True, kw_only=True, tag="since"):
    """List objects since a time, a page after the number of one."""

    begun: Annotated[datetime, msgspec.Meta(tz=True)]
    after: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0


class LastNotice(Asked, frozen=True, kw_only=True, tag="last_notice"):
    """Show what there is to be told of an object last."""

    ref: Text


Question = Take | Fetch | Lookup | Decide | Dispute | Disputes | Judge | Since | LastNotice


class Reply(msgspec.Struct, frozen=True):
    """The answer on the wire."""

    found: Any = None


class _Object(msgspec.Struct, frozen=True):
    """What an object of the bank's has to have, for its row to be believed."""

    n: int
    ref: str
    reference: str
    kind: OperationKind
    means: str
    state: OperationState
    amount: int
    currency: str
    automatic: int
    error: ErrorClass | None
    at: datetime


class _Notice(msgspec.Struct, frozen=True):
    n: int
    at: datetime
    ref: str
    reference: str
    kind: str
    state: str


class Counter(Protocol):
    """Where a question is put."""

    async def ask(self, asked: Question) -> Any:
        """Put one (NotAttempted, OutcomeUnknown, Rejected)."""
        ...

    async def close(self) -> None:
        """Leave."""
        ...


class Near:
    """The bank is in this process, its journal a file that is read by a thread."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    async def ask(self, asked: Question) -> Answer:
        """Ask it."""
        return await asyncio.to_thread(asked.of, self._bank)

    async def close(self) -> None:
        """Do nothing: no connection is kept."""


class Far:
    """The bank is a process of its own, `corekit payments sandbox serve`."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def ask(self, asked: Question) -> Answer:
        """Ask it over HTTP (NotAttempted, OutcomeUnknown; Rejected: it takes a call for none)."""
        said = await self._line.ask("POST", PATH, body=msgspec.to_builtins(asked))
        if said.status == MISMATCH and said.body.get("error") == "mismatch":
            raise OutcomeUnknown("the key is known with another call", mismatch=True)
        if said.status == INVALID and said.body.get("error") == "invalid" and isinstance(asked, Take):
            raise Rejected
        if not said.ok or "found" not in said.body:
            raise OutcomeUnknown(f"the sandbox shows nothing ({said.status})")
        return _believed(asked, said.body["found"])

    async def close(self) -> None:
        """Close the connections."""
        await self._line.close()


class Rejected(Exception):
    """The sandbox takes a call for invalid: a bug of ours."""


def _believed(asked: Question, found: Any) -> Answer:
    """Return rows that have what rows have (OutcomeUnknown)."""
    listed = isinstance(asked, Since | Disputes)
    if found is None and isinstance(asked, Lookup | LastNotice):
        return None
    shape: Any = _Notice if isinstance(asked, LastNotice) else _Object
    try:
        msgspec.convert(found, list[shape] if listed else shape)
    except msgspec.ValidationError:
        raise OutcomeUnknown("its answer cannot be read") from None
    rows: Answer = found
    return rows
