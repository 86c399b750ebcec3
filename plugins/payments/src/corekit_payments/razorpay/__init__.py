"""Razorpay: payments by UPI link and QR code, over its HTTP API."""

from corekit_payments.razorpay.provider import Razorpay, bring

__all__ = ["Razorpay", "bring"]
