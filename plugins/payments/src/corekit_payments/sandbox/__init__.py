"""The provider that everybody has: no network, and a journal of its own by which charges are counted."""

from corekit_payments.sandbox.journal import Effect, Journal, journal_of
from corekit_payments.sandbox.provider import CAPABILITIES, NOWHERE, Sandbox

__all__ = ["CAPABILITIES", "NOWHERE", "Effect", "Journal", "Sandbox", "journal_of"]
