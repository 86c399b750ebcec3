"""Where a person is reached: an e-mail address or a phone number, told apart by the `@`."""

import re

from corekit_auth.errors import EmailDisabled, PhoneDisabled
from corekit_auth.phones import normal_phone
from corekit_auth.settings import AuthSettings
from corekit_auth.users import normal_email

_NUMBER = re.compile(r"\s*\+?[\d\s]+")


def is_phone(address: str) -> bool:
    """Tell whether an address, in its normal form, is a number."""
    return "@" not in address


def normal_address(text: str, settings: AuthSettings) -> str:
    """Bring an address or number into the form in which it is stored.

    Raises:
        ValidationFailed: it is neither.
        EmailDisabled, PhoneDisabled: its kind is switched off.

    """
    if _NUMBER.fullmatch(text):
        if not settings.phone:
            raise PhoneDisabled
        return normal_phone(text)
    if not settings.email:
        raise EmailDisabled
    return normal_email(text)
