"""The adapter of Stripe; its SDK is imported only where an enabled instance has the kind `stripe`."""

from corekit_payments.stripe.starting import stripe_instance

__all__ = ["stripe_instance"]
