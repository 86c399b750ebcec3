"""The contract's wire shapes are fixed: each document here is read and written back to the byte."""

from typing import Any

import msgspec
import pytest

from corekit.contracts.payments import Method, NewPayment, Operation, Payment, PaymentFacts, Refund

GOLDEN: list[tuple[Any, str]] = [
    (Method, '{"type":"upi_qr","provider":"sandbox"}'),
    (
        NewPayment,
        (
            '{"amount":{"amount":49900,"currency":"INR"},"capture_method":"automatic",'
            '"method":{"type":"upi_qr","provider":null},"confirm":true,"payee":"merchant",'
            '"merchant_reference":"order-1007","description":null,"metadata":{},"return_url":null,'
            '"allow_duplicate":false}'
        ),
    ),
    (
        PaymentFacts,
        (
            '{"payment":"pay_01m817qnm0f9v8d3bzrbrvn12g","attempt":1,"payer":"usr_01m817qnrme9kvcps3826vz8d9",'
            '"payee":"merchant","amount":{"amount":49900,"currency":"INR"},"method_type":"upi_qr","instrument":null,'
            '"address":"203.0.113.7","agent":"Firefox 145 / Linux","device":"d-41","account_age_s":86400,'
            '"allow_duplicate":false,"counters":[{"scope":"principal","window_s":60,"n":2,"sum":99800}]}'
        ),
    ),
    (
        Payment,
        (
            '{"id":"pay_01m817qnm0f9v8d3bzrbrvn12g","version":3,"status":"requires_action","refund_status":"none",'
            '"dispute_status":"none","amount":{"amount":49900,"currency":"INR"},"totals":{"authorized":0,"captured":0,'
            '"capture_pending":0,"refunded":0,"refund_pending":0,"disputed":0},"payer":"usr_01m817qnrme9kvcps3826vz8d9",'
            '"payee":"merchant","capture_method":"automatic","provider":"sandbox","merchant_reference":"order-1007",'
            '"description":null,"metadata":{},"next_action":{"type":"upi_qr","payload":"upi://pay?pa=shop@icici&pn=Shop&'
            'mc=5411&tr=K3T7QX2M5W4Z6A2B3C4D&am=499.00&cu=INR","expires_at":"2026-11-22T09:08:00Z"},"decline":null,'
            '"review":null,"return_url":null,"authorization_expires_at":null,"created_at":"2026-11-22T09:00:00Z",'
            '"updated_at":"2026-11-22T09:00:01Z"}'
        ),
    ),
    (
        Operation,
        (
            '{"id":"pop_01m817qnpafv8rsps145fz4pka","payment":"pay_01m817qnm0f9v8d3bzrbrvn12g",'
            '"attempt":"att_01m817qnn5ensarr9h39m0qrgx","kind":"authorize","seq":1,"amount":{"amount":49900,'
            '"currency":"INR"},"final":true,"state":"requires_action","surplus":false,"of":null,"provider":"sandbox",'
            '"provider_ref":"sbx_000041","reference":"K3T7QX2M5W4Z6A2B3C4D","error":null,"review":null,'
            '"initiator":"usr_01m817qnrme9kvcps3826vz8d9","created_at":"2026-11-22T09:00:00Z",'
            '"updated_at":"2026-11-22T09:00:01Z"}'
        ),
    ),
    (
        Refund,
        (
            '{"id":"pop_01m817qnqff1xtc4cp42j4146k","payment":"pay_01m817qnm0f9v8d3bzrbrvn12g","amount":{"amount":9900,'
            '"currency":"INR"},"state":"pending","reason":"damaged","surplus":false,"error":null,'
            '"created_at":"2026-11-22T10:00:00Z","updated_at":"2026-11-22T10:00:01Z"}'
        ),
    ),
]


@pytest.mark.parametrize(("type_", "text"), GOLDEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_document_is_read_and_written_back(type_: Any, text: str) -> None:
    assert msgspec.json.encode(msgspec.json.decode(text, type=type_)).decode() == text


@pytest.mark.parametrize("member", ['"card":"4242424242424242"', '"metadata":{"":"x"}', '"method":{"type":"cash"}'])
def test_what_a_new_payment_does_not_have_is_refused(member: str) -> None:
    text = '{"amount":{"amount":1,"currency":"INR"},%s}'
    assert msgspec.json.decode(text % '"confirm":false', type=NewPayment).amount.minor == 1
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text % member, type=NewPayment)
