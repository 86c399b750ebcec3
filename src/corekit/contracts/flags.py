"""Flags: what is on for whom, decided while a kit runs. A key says in code what holds until somebody decides."""

from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from corekit.context import Context

T = TypeVar("T")
FlagKind = Literal["release", "experiment", "ops", "permission"]


class FlagKey(msgspec.Struct, Generic[T], frozen=True):
    """A flag as its owner, a plugin, declares it: `FlagKey("chat.new-composer", default=False, kind="release", …)`.

    `key` is `<owner>.<name>`; `default` is what it is where nobody has decided anything, and gives it its type. `kind`
    is why it is there: to `release` something, for an `experiment`, to operate (`ops`), or as a `permission`.
    """

    key: str
    default: T
    kind: FlagKind
    owner: str
    description: str = ""


class Flags(Protocol):
    """Decides flags. A plugin provides it; without one whoever asks goes by its settings."""

    def value(self, ctx: Context, key: FlagKey[T]) -> T:
        """Return what a flag is for the person (`ctx.caller.person`), the tenant and the time of a context.

        It waits for nothing and raises nothing: what cannot be decided is the key's `default`.
        """
        ...
