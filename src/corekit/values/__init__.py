"""Small values that everything speaks: ids, time, money, pages."""

from corekit.values.choices import choices
from corekit.values.clock import Clock, SystemClock, rfc3339
from corekit.values.ids import parse_id, trace_id, typeid, uuid7
from corekit.values.money import CurrencyMismatch, Money
from corekit.values.pages import Page, decode_cursor, encode_cursor

__all__ = [
    "Clock",
    "CurrencyMismatch",
    "Money",
    "Page",
    "SystemClock",
    "choices",
    "decode_cursor",
    "encode_cursor",
    "parse_id",
    "rfc3339",
    "trace_id",
    "typeid",
    "uuid7",
]
