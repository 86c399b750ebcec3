"""What may not be in a request, whatever it is for."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from corekit.errors import Invalid
from corekit_payments.errors import CardNumberRefused

_RUN = re.compile(r"[0-9](?:[ -]*[0-9]){12,}")
_SHORTEST, _LONGEST = 13, 19  # digits of a card's number (ISO/IEC 7812)


def refuse_card_numbers(request: object) -> None:
    """Refuse a request in whose texts, names of metadata included, a run of digits passes Luhn (CardNumberRefused)."""
    for pointer, text in _texts(msgspec.to_builtins(request), ""):
        if any(_has_card(re.sub(r"[ -]", "", run)) for run in _RUN.findall(text)):
            raise CardNumberRefused("add a letter if it is a reference of yours", pointer=pointer)


def refuse_foreign_return(url: str | None, hosts: tuple[str, ...]) -> None:
    """Refuse to send a payer to a place that the operator has not named."""
    if url is None:
        return
    try:
        parts = urlsplit(url)
        known = parts.scheme == "https" and parts.hostname in hosts and parts.username is None
    except ValueError:
        known = False
    if not known:
        raise Invalid("https at one of [payments] return_hosts", pointer="/return_url")


def _texts(value: object, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield pointer, key
            yield from _texts(inner, pointer if pointer == "/metadata" else f"{pointer}/{key}")


def _has_card(digits: str) -> bool:
    """Look at the whole run: part of a longer number is no card's."""
    return _SHORTEST <= len(digits) <= _LONGEST and _luhn(digits)


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value  # noqa: PLR2004  # the sum of its two digits
    return total % 10 == 0
