"""Holds what is sent against the SDK's own description of it: Stripe generates that for the pinned version."""

import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, ForwardRef, Literal, NotRequired, Required, Union, get_args, get_origin

import stripe
from stripe import RequestOptions
from typing_extensions import is_typeddict

SHAPES: Mapping[tuple[str, str], type] = {
    ("payment_intents", "create"): stripe.params.PaymentIntentCreateParams,
    ("payment_intents", "confirm"): stripe.params.PaymentIntentConfirmParams,
    ("payment_intents", "capture"): stripe.params.PaymentIntentCaptureParams,
    ("payment_intents", "cancel"): stripe.params.PaymentIntentCancelParams,
    ("payment_intents", "retrieve"): stripe.params.PaymentIntentRetrieveParams,
    ("payment_intents", "list"): stripe.params.PaymentIntentListParams,
    ("refunds", "create"): stripe.params.RefundCreateParams,
    ("refunds", "retrieve"): stripe.params.RefundRetrieveParams,
    ("refunds", "list"): stripe.params.RefundListParams,
    ("balance_transactions", "list"): stripe.params.BalanceTransactionListParams,
}


def complaints(resource: str, verb: str, params: Mapping[str, Any]) -> list[str]:
    """Name every member that is unknown, missing or of another type."""
    return list(_object(params, SHAPES[resource, verb], f"{resource}.{verb}"))


def _object(value: Any, shape: Any, at: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{at}: not an object"
        return
    known = _members(shape)
    for name in sorted(value.keys() - known.keys()):
        yield f"{at}.{name}: unknown"
    for name in sorted((shape.__required_keys__ & known.keys()) - value.keys()):
        yield f"{at}.{name}: missing"
    for name in sorted(value.keys() & known.keys()):
        yield from _value(value[name], known[name], sys.modules[shape.__module__], f"{at}.{name}")


def _members(shape: Any) -> dict[str, Any]:
    """Give the members of a shape and of those that it extends; how a request is made is no member of its body."""
    found: dict[str, Any] = {}
    for base in getattr(shape, "__orig_bases__", ()):
        if is_typeddict(base) and base is not RequestOptions:
            found |= _members(base)
    options = RequestOptions.__annotations__.keys()
    return found | {name: type_ for name, type_ in shape.__annotations__.items() if name not in options}


def _value(value: Any, type_: Any, module: types.ModuleType, at: str) -> Iterator[str]:
    type_ = _resolved(type_, module)
    origin, args = get_origin(type_), get_args(type_)
    if is_typeddict(type_):
        yield from _object(value, type_, at)
    elif origin in {Union, types.UnionType}:
        yield from _nearest([list(_value(value, one, module, at)) for one in _closed(args, module)])
    elif origin in {list, dict} and type(value) is origin:
        yield from _items(value, args, module, at)
    elif origin is Literal:
        if value not in args:
            yield f"{at}: {value!r} is none of theirs"
    elif type(value) is not type_:
        yield f"{at}: {type(value).__name__} is no {type_}"


def _items(value: Any, args: tuple[Any, ...], module: types.ModuleType, at: str) -> Iterator[str]:
    named = value.items() if isinstance(value, dict) else enumerate(value)
    for name, one in named:
        yield from _value(one, args[-1], module, f"{at}.{name}")


def _nearest(every: list[list[str]]) -> list[str]:
    """Choose what an alternative says that went deepest; nothing where one says nothing."""
    return [] if not all(every) else max(every, key=lambda said: said[0].partition(":")[0].count("."))


def _closed(args: tuple[Any, ...], module: types.ModuleType) -> list[Any]:
    """Leave out the `str` that keeps a list of words open: the words that we use are those that they have."""
    resolved = [_resolved(one, module) for one in args]
    words = any(get_origin(one) is Literal and any(get_args(one)) for one in resolved)
    return [one for one in resolved if not (words and one is str)]


def _resolved(type_: Any, module: types.ModuleType) -> Any:
    """Look up what is named only, in the module that names it."""
    while True:
        if get_origin(type_) in {Required, NotRequired}:
            type_ = get_args(type_)[0]
        elif isinstance(type_, ForwardRef | str):
            text = type_ if isinstance(type_, str) else type_.__forward_arg__
            scope = {**vars(module), "StripeContext": stripe.StripeContext}
            type_ = eval(text, scope)  # noqa: S307  # the SDK's own words
        else:
            return type_
