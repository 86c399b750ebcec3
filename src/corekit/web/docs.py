"""The API's description as a page that needs no internet."""

from importlib import resources
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin


class DocsPage(OpenAPIRenderPlugin):
    """One HTML file with its script and style inside; it reads `openapi.json` from beside itself."""

    def __init__(self) -> None:
        super().__init__(path="/")
        self._html = resources.files("corekit.web").joinpath("docs.html").read_bytes()

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """Return the page; it is the same for every API."""
        return self._html
