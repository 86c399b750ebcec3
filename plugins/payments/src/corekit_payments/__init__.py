"""Payments that happen once, or not at all, or are known to be unknown."""

from corekit_payments.plugin import PaymentsPlugin
from corekit_payments.settings import PaymentsSettings

__all__ = ["PaymentsPlugin", "PaymentsSettings"]
