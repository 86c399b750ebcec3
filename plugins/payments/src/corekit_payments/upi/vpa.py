"""Virtual payment addresses, `stripe@icici`: whether a text is one; whether it exists only a provider knows."""

import re
from functools import cache
from importlib import resources

import msgspec

TYPED_MAX = 30  # characters, as in Stripe's vectors
PSP_MAX = 255
_VPA = re.compile(r"(?P<local>[A-Za-z0-9][A-Za-z0-9._-]*)@(?P<handle>[A-Za-z][A-Za-z0-9]+)")
_SHOWN = 2  # characters of the local part that a mask leaves


class VpaError(ValueError):
    """A text is no VPA, or too long for one; the message never holds it."""


class Vpa(msgspec.Struct, frozen=True, eq=False):
    """One, as it was written; two that differ in case alone are the same."""

    local: str
    handle: str

    def __str__(self) -> str:
        return f"{self.local}@{self.handle}"

    def __repr__(self) -> str:
        return f"Vpa({self.masked})"  # it is personal data, and logs print what they are given

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vpa) and self.folded == other.folded

    def __hash__(self) -> int:
        return hash(self.folded)

    @property
    def folded(self) -> str:
        """The form in which addresses are compared and counted."""
        return str(self).lower()

    @property
    def masked(self) -> str:
        """The form for screens: `st***@icici`; of a local part of one or two characters nothing is left."""
        left = self.local[:_SHOWN] if len(self.local) > _SHOWN else ""
        return f"{left}***@{self.handle}"


def parse(text: str, *, most: int = PSP_MAX) -> Vpa:
    """Read one of at most so many characters: `TYPED_MAX` where a person typed it.

    Raises:
        VpaError: it is none, or too long.

    """
    if len(text) > most:
        raise VpaError(f"a VPA has at most {most} characters")
    found = _VPA.fullmatch(text)
    if found is None:
        raise VpaError("a VPA is letters, digits, '.', '_' or '-', then '@' and a handle without a dot")
    return Vpa(found["local"], found["handle"])


def known_handle(vpa: Vpa) -> bool:
    """Tell whether the handle is one that is known to this version: no more than a hint against a slip of the pen."""
    return vpa.handle.lower() in _handles()


@cache
def _handles() -> frozenset[str]:
    text = resources.files("corekit_payments.upi").joinpath("handles.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
