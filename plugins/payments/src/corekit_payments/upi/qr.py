"""QR codes of links, as SVG for pages and PNG for everything else."""

import io

import segno

MOST = 1024  # bytes: a denser code is hard to read from a screen
_LEVEL = "m"  # a seventh of the code may be lost (ISO/IEC 18004)
_BORDER = 4  # modules of quiet around it, as the standard wants


def svg(text: str, *, scale: int = 4) -> str:
    """Draw a text as an `<svg>` element without style and script, to stand inside a page.

    Raises:
        ValueError: it is empty or longer than `MOST` bytes.

    """
    drawn: str = _code(text).svg_inline(scale=scale, border=_BORDER, title="UPI", omitsize=False)
    return drawn


def png(text: str, *, scale: int = 8) -> bytes:
    """Draw a text as a PNG file, each module so many pixels wide.

    Raises:
        ValueError: it is empty or longer than `MOST` bytes.

    """
    out = io.BytesIO()
    _code(text).save(out, kind="png", scale=scale, border=_BORDER)
    return out.getvalue()


def _code(text: str) -> segno.QRCode:
    if not 0 < len(text.encode()) <= MOST:
        raise ValueError(f"1 to {MOST} bytes are drawn")
    return segno.make_qr(text, error=_LEVEL, encoding="utf-8")
