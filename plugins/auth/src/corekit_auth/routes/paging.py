"""Pages with numbers, as the protocol's clients read them."""

from urllib.parse import urlencode

_KEPT = ("per_page", "filter", "sort", "query")


def paging(path: str, given: dict[str, str], *, page: int, per_page: int, total: int) -> dict[str, str]:
    """Write the headers; `page` comes first in a link and alone, since clients cut it out of the text."""
    last = max(1, -(-total // per_page))
    rest = {key: given[key] for key in _KEPT if given.get(key)}

    def link(number: int, rel: str) -> str:
        return f'<{path}?{urlencode({"page": number, **rest})}>; rel="{rel}"'

    following = [link(page + 1, "next")] if page < last else []
    return {"X-Total-Count": str(total), "Link": ", ".join([*following, link(last, "last")])}
