"""Where a person is reached: an e-mail address or a phone number."""

import re

from corekit_auth.errors import EmailDisabled, PhoneDisabled
from corekit_auth.phones import normal_phone
from corekit_auth.settings import AuthSettings
from corekit_auth.users import normal_email

_NUMBER = re.compile(r"\+?[0-9\s]+")


def normal_address(text: str, settings: AuthSettings) -> str:
    """Bring an address or number into the form in which it is stored.

    Raises:
        ValidationFailed: it is neither.
        EmailDisabled, PhoneDisabled: its kind is switched off.

    """
    if _NUMBER.fullmatch(text.strip()):
        if not settings.phone:
            raise PhoneDisabled
        return normal_phone(text)
    if not settings.email:
        raise EmailDisabled
    return normal_email(text)
