"""The line to Stripe: their own client over a httpx of ours; answers come back as plain data, or as what to raise."""

from collections.abc import Mapping
from typing import Any

import httpx
import stripe

from corekit.contracts.payments import NotAttempted, OutcomeUnknown
from corekit.settings import Secret
from corekit.watch import get_logger
from corekit_payments.calling import UNCOMPRESSED, patience, whole
from corekit_payments.stripe.refusals import exception_of, failure_of, is_mapped

VERSION = "2026-10-28.endive"  # what this adapter was written for: another one is a decision
_TIMEOUT = httpx.Timeout(20, connect=5, pool=5)  # seconds; what was not sent is known before the driver gives up
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_SENT_HEADERS = frozenset({
    "authorization", "content-type", "idempotency-key", "stripe-account", "stripe-version", "user-agent",
})  # fmt: skip


class Wire(stripe.HTTPClient):
    """HTTP for their client: no redirect, no proxy of the environment, no endless answer, nothing about this machine.

    Their own `HTTPXClient` has no limit for answers, and sends bodies in a way that httpx warns of.
    """

    name = "httpx"

    def __init__(self) -> None:
        super().__init__()
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=False)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request.

        Raises:
            NotAttempted: nothing of it has left this machine.
            OutcomeUnknown: its answer was lost, or is longer than any should be.

        """
        told = UNCOMPRESSED | {name: value for name, value in headers.items() if name.lower() in _SENT_HEADERS}
        content = post_data.encode() if isinstance(post_data, str) else post_data
        try:
            async with self._http.stream(method, url, headers=told, content=content or None) as answer:
                return await whole(answer), answer.status_code, answer.headers
        except _UNSENT as error:
            raise NotAttempted(f"not reached: {type(error).__name__}") from error
        except httpx.HTTPError as error:
            raise OutcomeUnknown(f"no answer: {type(error).__name__}") from error

    async def close_async(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()


class Line:
    """One account; their client makes no second try and names the version that we know."""

    def __init__(self, key: Secret, address: str) -> None:
        self._wire = Wire()
        self._client = stripe.StripeClient(
            key.reveal(), stripe_version=VERSION, max_network_retries=0, http_client=self._wire,
            base_addresses={"api": address.rstrip("/")},
        )  # fmt: skip

    async def send(
        self, resource: str, verb: str, params: Mapping[str, Any], key: str | None = None, of: str | None = None
    ) -> dict[str, Any]:
        """Call a verb of a resource, as `payment_intents.capture` of an object, under a key where it may move money.

        Raises:
            NotAttempted, OutcomeUnknown: as they say.
            Refusal: they said no, and nothing has moved.

        """
        method = getattr(getattr(self._client.v1, resource), f"{verb}_async")
        options: dict[str, Any] = {} if key is None else {"idempotency_key": key}
        try:
            found = await method(*([] if of is None else [of]), params=dict(params), options=options)
        except stripe.StripeError as error:
            raise self._meant(error) from error
        if not isinstance(found, stripe.StripeObject):
            raise OutcomeUnknown("the answer is no object")
        return found.to_dict()

    async def close(self) -> None:
        """End it."""
        await self._wire.close_async()

    def _meant(self, error: stripe.StripeError) -> Exception:
        status, failure = error.http_status, failure_of(error.json_body)
        if not is_mapped(status, failure):
            get_logger("corekit.payments").error("payments_unmapped", reason=f"stripe {status} {failure.type}"[:100])
        asked = str((error.headers or {}).get("retry-after", ""))
        return exception_of(status, failure, patience(asked))
