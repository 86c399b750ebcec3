"""The API's description as a page that needs no internet."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib import resources
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin


class DocsPage(OpenAPIRenderPlugin):
    """One HTML file with its script and style inside; it reads `openapi.json` from beside itself."""

    def __init__(self) -> None:
        super().__init__(path="/")
        page = resources.files("corekit.web").joinpath("docs.html").read_text("utf-8")
        # The page's own policy allows exactly these two texts to run and to style, and nothing to be loaded.
        for tag in ("script", "style"):
            page = page.replace(f"'{tag.upper()}'", f"'sha256-{_digest(page, tag)}'", 1)
        self._html = page.encode()

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """Return the page; it is the same for every API."""
        return self._html


def _digest(page: str, tag: str) -> str:
    """Hash the text of an element as a Content-Security-Policy wants it (CSP 3 §2.3.1)."""
    _, text, _ = re.split(rf"</?{tag}>", page, maxsplit=2)
    return b64encode(sha256(text.encode()).digest()).decode()
