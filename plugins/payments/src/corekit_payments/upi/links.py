"""Links `upi://pay?…`: ours are built and read here; one that a provider gave is a text, and stays as it is.

A provider's signature covers every byte before `&sign=`, so its link is never taken apart and put together again.
Source: NPCI, UPI linking specification, as described in providers' public pages.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

import msgspec

from corekit.values import Money
from corekit_payments.upi import vpa

_START = "upi://pay?"
_LONGEST = 4096  # characters of a link that is read
_NAME_MAX = 99
_VALUE_MAX = 1024
_MCC = re.compile(r"[0-9]{4}")
_MODE = re.compile(r"[0-9]{2}")
_REFERENCE = re.compile(r"[A-Za-z0-9]{1,35}")
_NOTE = re.compile(r"[A-Za-z0-9 ]{1,50}")
_BUILT_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,9})\.[0-9]{2}")
_READ_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,9})(?:\.[0-9]{1,2})?")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_FIELDS = {"pa": "payee", "pn": "name", "mc": "mcc", "tr": "reference", "tn": "note"}
PERSON = "0000"  # the category code of who is no merchant


class LinkError(ValueError):
    """A link cannot be built so, or read; the message names the parameter and never its value."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What a link says: `pa pn mc tr tn am cu`, and `minimum` and `others` of a provider's.

    `others` are parameters that only a provider sets (`tid mode sign QRexpire …`), by their names.
    """

    payee: vpa.Vpa
    name: str = ""
    mcc: str | None = None
    reference: str | None = None
    note: str | None = None
    amount: Money | None = None
    minimum: Money | None = None
    others: Mapping[str, str] = {}


def build(link: Link) -> str:
    """Write a link of ours.

    Raises:
        LinkError: a part is missing or not of its form, or it holds what only a provider may say.

    """
    if link.others or link.minimum is not None:
        raise LinkError("a provider's link is not built again: pass it on as it came")
    if not 1 <= len(link.name) <= _NAME_MAX or _CONTROL.search(link.name):
        raise LinkError(f"pn: 1 to {_NAME_MAX} characters, none of them a control character")
    merchant = link.mcc not in {None, PERSON}
    if link.reference is None and (merchant or link.amount is not None):
        raise LinkError("tr: needed for a merchant, and with an amount")
    _demand("mc", link.mcc, _MCC, "four digits")
    _demand("tr", link.reference, _REFERENCE, "1 to 35 letters and digits")
    _demand("tn", link.note, _NOTE, "1 to 50 letters, digits and spaces")
    parts = {
        "pa": str(link.payee), "pn": link.name, "mc": link.mcc, "tr": link.reference, "tn": link.note,
        "am": _written(link.amount), "cu": None if link.amount is None else "INR",
    }  # fmt: skip
    return _START + "&".join(f"{name}={_quoted(name, part)}" for name, part in parts.items() if part is not None)


def parse(text: str) -> Link:
    """Read a link, ours or a provider's, more leniently than `build` writes.

    Raises:
        LinkError: it is no `upi://pay` link, a parameter comes twice, or one is not of its form.

    """
    if len(text) > _LONGEST or text[: len(_START)].lower() != _START:
        raise LinkError(f"a link begins with {_START} and has at most {_LONGEST} characters")
    given = _parameters(text[len(_START) :])
    try:
        payee = vpa.parse(given.pop("pa", ""))
    except vpa.VpaError:
        raise LinkError("pa: a VPA") from None
    if (currency := given.pop("cu", "INR")) != "INR":
        raise LinkError("cu: INR")
    amount = _read("am", given.pop("am", None), currency)
    minimum = _minimum(given.pop("mam", None), amount)
    _demand("mc", given.get("mc"), _MCC, "four digits")
    _demand("mode", given.get("mode"), _MODE, "two digits")
    fields = {field: given.pop(name) for name, field in _FIELDS.items() if name in given}
    return msgspec.convert(fields | {"payee": payee, "amount": amount, "minimum": minimum, "others": given}, Link)


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z]{1,32}", name) or name in found:
            raise LinkError("each parameter is a name, '=' and a value, and comes once")
        found[name] = _unquoted(name, value)
    return {name: value for name, value in found.items() if value}  # an empty one is in the wild, and says nothing


def _unquoted(name: str, value: str) -> str:
    """Decode a value; `sign` is base64, whose `+` is one."""
    try:
        plain = unquote(value if name == "sign" else value.replace("+", " "), errors="strict")
    except UnicodeDecodeError:
        plain = None
    if plain is None or _ESCAPE.search(value) or _CONTROL.search(plain) or len(plain) > _VALUE_MAX:
        raise LinkError(f"{name if name in _FIELDS else 'a parameter'}: at most {_VALUE_MAX} characters in UTF-8")
    return plain


def _minimum(text: str | None, amount: Money | None) -> Money | None:
    """Read `mam`, which goes with an amount and is no more than it; the word `null` is in the wild."""
    if text is None:
        return None
    minimum = amount if text == "null" else _read("mam", text, "INR")
    if amount is None or minimum is None or minimum > amount:
        raise LinkError("mam: at most am")
    return minimum


def _read(name: str, text: str | None, currency: str) -> Money | None:
    if text is None:
        return None
    amount = Money.parse(text, currency) if _READ_AMOUNT.fullmatch(text) else None
    if amount is None or amount.minor <= 0:
        raise LinkError(f"{name}: rupees above zero, with at most two decimals")
    return amount


def _written(amount: Money | None) -> str | None:
    if amount is None:
        return None
    text = amount.format()
    if amount.currency != "INR" or amount.minor <= 0 or not _BUILT_AMOUNT.fullmatch(text):
        raise LinkError("am: rupees above zero, at most ten digits before the point")
    return text


def _quoted(name: str, part: str) -> str:
    try:
        return quote(part, safe="@")
    except UnicodeEncodeError:
        raise LinkError(f"{name}: text that UTF-8 can write") from None


def _demand(name: str, value: str | None, form: re.Pattern[str], said: str) -> None:
    if value is not None and not form.fullmatch(value):
        raise LinkError(f"{name}: {said}")
