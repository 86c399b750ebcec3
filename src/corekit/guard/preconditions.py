"""Preconditions: a change is made only to the version that its author has seen (RFC 9110 §13.1.1)."""

import re
from dataclasses import dataclass

from corekit.errors import Problem

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]{0,64})"')
_SEPARATOR = re.compile(r"[ \t]*,[ \t,]*")
_LONGEST = 1024  # characters of the header


class PreconditionRequired(Problem):
    """The change takes the version that its author has seen, and none was given."""

    slug, status, code, title = "precondition-required", 428, 107, "Say which version you have seen"


class PreconditionFailed(Problem):
    """It is another version now: somebody, or something, has changed it since it was read."""

    slug, status, code, title = "precondition-failed", 412, 107, "It has changed since"


class PreconditionInvalid(Problem):
    """What was given as a version reads as none."""

    slug, status, code, title = "precondition-invalid", 400, 107, "The If-Match is malformed"


@dataclass(frozen=True)
class IfMatch:
    """The versions for which a change is meant; None for any that there is (`*`)."""

    tags: frozenset[str] | None

    def demand(self, version: int) -> None:
        """Refuse a change to another version; call it under the lock that the change is made under.

        Raises:
            PreconditionFailed: it is another one; the problem names the present one in `version` and as its ETag.

        """
        if self.tags is not None and str(version) not in self.tags:
            raise PreconditionFailed(headers={"ETag": etag(version)}, version=version)


def etag(version: int) -> str:
    """Write a version as an entity tag (RFC 9110 §8.8.3): `"3"`."""
    return f'"{version}"'


def read_if_match(sent: str) -> IfMatch:
    r"""Read the header: `*`, or tags with commas between them, as `"3"`; weak ones match nothing.

    Raises:
        PreconditionInvalid: it is neither, or is too long.

    """
    text = sent.strip(" \t,")
    if text == "*":
        return IfMatch(None)
    found = [_TAG.fullmatch(part) for part in _SEPARATOR.split(text)] if len(text) <= _LONGEST else [None]
    tags = [match for match in found if match is not None]
    if len(tags) < len(found):
        raise PreconditionInvalid('a version in quotes, as "3"')
    return IfMatch(frozenset(match[2] for match in tags if match[1] is None))
