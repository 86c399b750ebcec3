"""Codes of authenticator apps (RFC 6238): SHA-1, six digits, 30 seconds, which every such app knows."""

import hmac
import io
from datetime import datetime

import pyotp
import segno

_PERIOD = 30
_WINDOW = (-1, 0, 1)  # clocks differ, and typing takes its time
_LABEL_MAX = 64


def new_secret() -> str:
    """Make a secret of 160 bits, in base32."""
    return pyotp.random_base32()


def uri(secret: str, *, issuer: str, account: str) -> str:
    """Write what an authenticator app reads; `issuer` and `account` are what it shows."""
    return pyotp.TOTP(secret).provisioning_uri(name=account[:_LABEL_MAX], issuer_name=issuer)


def qr_code(text: str) -> str:
    """Draw a text as SVG that may follow `data:image/svg+xml;utf-8,` as it is; takes some 20 ms."""
    drawn = io.BytesIO()
    segno.make_qr(text).save(drawn, kind="svg", scale=4, xmldecl=False, svgclass=None, lineclass=None, nl=False)
    # Clients put this into a data URL unescaped, where "#" would end it.
    return drawn.getvalue().decode().replace("#000", "black").replace("#fff", "white")


def matching_step(secret: str, code: str, now: datetime) -> int | None:
    """Return the step of which this is the code, the one before and the one after included."""
    current, totp, found = int(now.timestamp()) // _PERIOD, pyotp.TOTP(secret), None
    for step in (current + offset for offset in _WINDOW):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()):
            found = step
    return found
