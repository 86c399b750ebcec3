"""Why a page is not shown, or a form of it does nothing; people read these, so they are pages and no problems."""


class PageRefused(Exception):
    """Answered with a page of its own, of the HTTP status `status`."""

    status = 404
    title = "There is nothing here"
    text = "Check that the whole address was copied."

    def __init__(self, *, retry_after: int | None = None) -> None:
        super().__init__(self.title)
        self.retry_after = retry_after  # seconds


class LinkUnknown(PageRefused):
    """The link was not made here, or was changed since."""


class LinkExpired(PageRefused):
    """The link is too old."""

    status, title, text = 410, "This link has expired", "Ask for a new one where you were given it."


class FormStale(PageRefused):
    """The form is of another link, or of a page that shows the payment as it was before."""

    status, title, text = (
        403,
        "Nothing was done",
        "The payment has changed since you opened it. Look again.",
    )


class TooOften(PageRefused):
    """More requests than a person makes."""

    status, title, text = 429, "Too many requests", "Wait a moment, then look again."
