"""The flag of each kind of provider: it ends new attempts, and nothing of the money that is on its way."""

from corekit.context import Context, Kit
from corekit.contracts.flags import FlagKey, Flags
from corekit.watch import get_logger

_OFF = frozenset({"stripe"})  # kinds whose flag is off until somebody turns it on


def flag_of(kind: str) -> FlagKey[bool]:
    """Return the flag of a kind, `payments.<kind>`."""
    told = f"Whether payers may begin to pay by instances of the kind {kind}."
    return FlagKey(f"payments.{kind}", default=kind not in _OFF, kind="ops", owner="payments", description=told)


def takes_attempts(ctx: Context, kind: str) -> bool:
    """Tell whether somebody may begin to pay by instances of a kind; without `Flags` the settings have decided it."""
    flags = ctx.find(Flags)
    return flags is None or flags.value(ctx, flag_of(kind))


def tell_of_flags(kit: Kit) -> None:
    """Say where no flag can end new attempts."""
    if kit.find(Flags) is None:
        get_logger("corekit.payments").info("payments_flags_absent", reason="no plugin provides Flags: settings decide")
