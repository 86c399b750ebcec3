"""Logs: nothing personal and no secret gets out, whatever is logged and by whom."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from structlog.contextvars import bound_contextvars

from corekit.watch import configure_logs, get_logger
from corekit.watch.logs import scrub

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
CANARIES = ("ann@example.com", "+49 170 1234567", "4111111111111111", JWT, "ck_svc_abcdef123", "hunter2")
PLANTED = f"ann@example.com called +49 170 1234567 with 4111111111111111, {JWT} and ck_svc_abcdef123"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(params=["json", "text"])
def style(request: pytest.FixtureRequest) -> Literal["json", "text"]:
    chosen: Literal["json", "text"] = request.param
    return chosen


@pytest.fixture
def output(style: Literal["json", "text"]) -> Iterator[io.StringIO]:
    """Send this process's records to a text, as a server would send them to its terminal."""
    root, ours = logging.getLogger(), logging.getLogger("corekit")
    before, level, our_level = root.handlers[:], root.level, ours.level
    root.handlers.clear()  # or the next line would close pytest's own
    stream = io.StringIO()
    configure_logs(style, level="debug", deny=["nickname"], stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    ours.setLevel(our_level)


def no_canary(output: io.StringIO) -> str:
    text = output.getvalue()
    assert text
    assert not [canary for canary in CANARIES if canary in text]
    return text


class Chatty:
    """Says of itself what nobody should hear."""

    def __str__(self) -> str:
        return PLANTED


def test_free_text_is_rubbed_clean(output: io.StringIO) -> None:
    get_logger("corekit.test").info("sent", reason=PLANTED, url=f"/x?token={JWT}", client_name="ann@example.com")
    text = no_canary(output)
    assert "[address]" in text
    assert "[token]" in text
    assert "[number]" in text


def test_a_secret_in_an_error_of_others_is_rubbed_out() -> None:
    link = "https://example.org/verify?token=2f7d1c0b9a8e7f6d5c4b3a291807f6e5d4c3b2a190817263545f6a7b&type=recovery"
    assert scrub(f"SMTP refused {link}") == "SMTP refused https://example.org/verify?token=[secret]&type=recovery"


def test_what_a_query_names_as_secret_is_rubbed_out_however_short() -> None:
    line = 'GET https://example.org/callback?code=j_WXRpdJ1&state=abc#access_token=x1&type=recovery "HTTP/1.1 302"'
    assert scrub(line) == (
        "GET https://example.org/callback?code=[secret]&state=[secret]#access_token=[secret]&type=recovery "
        '"HTTP/1.1 302"'
    )


def test_what_is_no_text_is_rubbed_clean_too(output: io.StringIO) -> None:
    get_logger("corekit.test").info("sent", reason=Chatty(), error=ValueError(PLANTED), plugins=[PLANTED, "chat"])
    assert "chat" in no_canary(output)


def test_fields_that_nobody_allowed_are_dropped_and_named(output: io.StringIO) -> None:
    get_logger("corekit.test").info("signed_in", password="hunter2", shoe_size="hunter2", nickname="hunter2")
    text = no_canary(output)
    assert "dropped" in text
    assert "shoe_size" in text


def test_what_a_request_binds_obeys_the_same_rules(output: io.StringIO) -> None:
    with bound_contextvars(request_id="r1", email="hunter2"):
        get_logger("corekit.test").info("asked")
    assert "r1" in no_canary(output)


def test_an_exceptions_text_is_rubbed_clean(output: io.StringIO) -> None:
    for logger in (get_logger("corekit.test"), logging.getLogger("somebody")):
        try:
            raise ValueError(PLANTED)
        except ValueError:
            logger.exception("it_failed")
    text = no_canary(output)
    assert text.count("ValueError: [address]") == 2
    assert text.count("Traceback") == 2


def test_records_of_other_libraries_go_through_the_same_net(output: io.StringIO) -> None:
    logging.getLogger("somebody").warning("%s wrote: %s", "ann@example.com", PLANTED, extra={"password": "hunter2"})
    assert "wrote" in no_canary(output)
    logging.getLogger("somebody").info("too quiet")
    assert "too quiet" not in output.getvalue()


@pytest.mark.parametrize("style", ["json"], indirect=True)
def test_a_line_is_a_json_document(output: io.StringIO) -> None:
    get_logger("corekit.test").warning("job_failed", attempts=3, duration_ms=1.5, request_id="r1", tenant=None)
    (line,) = [json.loads(line) for line in output.getvalue().splitlines()]
    assert {key: line[key] for key in ("event", "level", "logger", "attempts", "duration_ms", "request_id")} == {
        "event": "job_failed",
        "level": "warning",
        "logger": "corekit.test",
        "attempts": 3,
        "duration_ms": 1.5,
        "request_id": "r1",
    }
    assert line["timestamp"].endswith("Z")


def test_a_host_that_configures_nothing_hears_clean_records(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "corekit"):
        get_logger("corekit.test").info("sent", reason=PLANTED, password="hunter2")
        try:
            raise ValueError(PLANTED)
        except ValueError:
            get_logger("corekit.test").exception("it_failed")
    assert "sent" in caplog.text
    assert "ValueError: [address]" in caplog.text
    assert not [canary for canary in CANARIES if canary in caplog.text]


@pytest.mark.parametrize(
    "harmless",
    [
        "2030-01-01T12:00:00.123456Z",
        "0190163d-8694-739b-aea5-966c26f8ad91",
        "usr_01h2xcejqtf2nbrexx3vqjhp41",
        "port 8000",
        "uq_auth_flow_states_auth_code_mac_of_each_tenant",
    ],
)
def test_ids_and_times_stay_readable(harmless: str) -> None:
    assert scrub(harmless) == harmless
