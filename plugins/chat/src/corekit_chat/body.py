"""Bodies: what is taken from a sender, and in which form it is stored."""

import re
import unicodedata
from hashlib import sha256
from uuid import UUID

from corekit.errors import Invalid
from corekit_chat.errors import MessageTooLarge

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}\Z")
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_POP_FORMATTING, _POP_ISOLATE = "\u202c", "\u2069"
_CLOSED_BY = {
    **dict.fromkeys("\u202a\u202b\u202d\u202e", _POP_FORMATTING),
    **dict.fromkeys("\u2066\u2067\u2068", _POP_ISOLATE),
}
_SHRINKS = 4  # normalising makes no text shorter than a quarter


def clean_body(kind: str, body: str, max_length: int) -> str:
    """Return the body to store: NFC, lines ended by newline, no other control characters but tab, bidi marks closed.

    Ciphertext is base64 and stays as it is.

    Raises:
        MessageTooLarge: more than `max_length` bytes of UTF-8.
        Invalid: nothing is left, or it is not what its kind says.

    """
    if len(body) > max_length * _SHRINKS:
        raise _too_large(max_length)
    if kind == "ciphertext":
        if not _BASE64.match(body):
            raise Invalid("ciphertext is base64", pointer="/body")
        cleaned = body
    else:
        cleaned = clean_text(body)
    if not cleaned.strip():
        raise Invalid("a message has text: at least one visible character", pointer="/body")
    if len(cleaned.encode()) > max_length:
        raise _too_large(max_length)
    return cleaned


def clean_text(text: str, *, pointer: str = "/body") -> str:
    """Normalise a text and take out what could break its surroundings."""
    if text.isascii() and text.isprintable():
        return text
    if _SURROGATE.search(text):
        raise Invalid("the text has a lone surrogate, which is no character", pointer=pointer)
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS))
    return text + _closers(text)


def body_hash(kind: str, body: str, reply_to: UUID | None) -> bytes:
    """Fingerprint what the client sent, before anything changed it: a repeat must carry the same."""
    return sha256(f"{kind}\n{reply_to or ''}\n{body}".encode("utf-8", "surrogatepass")).digest()


def _closers(text: str) -> str:
    """Return the characters that end the bidi embeddings, overrides and isolates left open."""
    opened: list[str] = []
    for char in text:
        if closer := _CLOSED_BY.get(char):
            opened.append(closer)
        elif char == "\n":
            opened.clear()  # a paragraph's end closes all (UAX #9, X8)
        elif char == _POP_FORMATTING and opened[-1:] == [char]:
            opened.pop()
        elif char == _POP_ISOLATE and char in opened:
            del opened[len(opened) - 1 - opened[::-1].index(char) :]
    return "".join(reversed(opened))


def _too_large(max_length: int) -> MessageTooLarge:
    return MessageTooLarge(f"a body has at most {max_length} bytes of UTF-8", pointer="/body", max_length=max_length)
