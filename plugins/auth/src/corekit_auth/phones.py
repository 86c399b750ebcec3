"""Phone numbers: told from e-mail addresses, and in the one form in which they are stored and compared."""

import re

from corekit_auth.errors import ValidationFailed

_PHONE = re.compile(r"[1-9][0-9]{1,14}")


def is_phone(address: str) -> bool:
    """Tell whether an address, in its normal form, is a number; e-mail addresses have an `@`."""
    return "@" not in address


def normal_phone(text: str) -> str:
    """Bring a number into international form without `+` and blanks (E.164).

    Raises:
        ValidationFailed: it is none.

    """
    phone = "".join(text.split()).removeprefix("+")
    if not _PHONE.fullmatch(phone):
        raise ValidationFailed("phone: Invalid phone number format (E.164 required)")
    return phone
