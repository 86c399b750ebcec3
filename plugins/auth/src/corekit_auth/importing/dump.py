"""Reading a plain dump of PostgreSQL as a stream: the COPY blocks and INSERT statements of some tables."""

import re
from collections.abc import Iterable, Iterator, Mapping

from corekit.errors import Invalid

Row = Mapping[str, str | None]

_NAME = r'(?:"[^"]+"|[A-Za-z_][\w$]*)'
_COPY = re.compile(rf"COPY\s+({_NAME}\.{_NAME})\s*\(([^)]*)\)\s+FROM\s+stdin;", re.IGNORECASE)
_INSERT = re.compile(rf"INSERT\s+INTO\s+({_NAME}\.{_NAME})\s*", re.IGNORECASE)
_COLUMNS = re.compile(r"\(([^)]*)\)\s*(?:OVERRIDING\s+SYSTEM\s+VALUE\s*)?VALUES\s*", re.IGNORECASE)
_VALUE = re.compile(r"[eE]'(?P<escaped>(?:[^'\\]|''|\\.)*)'|'(?P<plain>(?:[^']|'')*)'|(?P<bare>[^\s,()']+)", re.DOTALL)
_CAST = re.compile(r"(?:::[\w\s\"\[\].]+?)?(?=\s*[,)])")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_COPY_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_STATEMENT_MAX = 64 << 20


def rows(lines: Iterable[str], wanted: frozenset[str]) -> Iterator[tuple[str, Row]]:
    """Yield (table, row) for each row of the wanted tables, as `auth.users`; a value is its text, or None for NULL.

    Raises:
        Invalid: a statement for a wanted table cannot be read; it names the table.

    """
    source = iter(lines)
    for line in source:
        if match := _COPY.match(line):
            table, columns = _table(match[1]), _names(match[2])
            for found in _copied(source, table, columns):
                if table in wanted:
                    yield table, found
        elif (match := _INSERT.match(line)) and (table := _table(match[1])) in wanted:
            for found in _inserted(_statement(line, source, table)[match.end() :], table):
                yield table, found


def _copied(source: Iterator[str], table: str, columns: list[str]) -> Iterator[Row]:
    for line in source:
        text = line.rstrip("\n")
        if text == "\\.":
            return
        values = text.split("\t")
        if len(values) != len(columns):
            raise Invalid(f"{table}: a row has {len(values)} values for {len(columns)} columns")
        yield {name: _uncopied(value) for name, value in zip(columns, values, strict=True)}
    raise Invalid(f"{table}: the dump ends in the middle of its rows")


def _uncopied(value: str) -> str | None:
    """Read one value of COPY's text format (PostgreSQL, SQL-COPY, "Text Format")."""
    if value == "\\N":
        return None
    return _COPY_ESCAPE.sub(_unescaped, value) if "\\" in value else value


def _unescaped(match: re.Match[str]) -> str:
    escape = match[1]
    if escape[0] == "x" and len(escape) > 1:
        return chr(int(escape[1:], 16))
    if escape.isdigit():
        return chr(int(escape, 8))
    return _ESCAPES.get(escape, escape)


def _statement(line: str, source: Iterator[str], table: str) -> str:
    """Read on to the end of a statement: a `;` that no text holds."""
    parts, size = [line], len(line)
    while not _ends(parts):
        following = next(source, None)
        if following is None or size > _STATEMENT_MAX:
            raise Invalid(f"{table}: an INSERT has no end")
        parts.append(following)
        size += len(following)
    return "".join(parts)


def _ends(parts: list[str]) -> bool:
    if not parts[-1].rstrip().endswith(";"):
        return False
    text = "".join(parts)
    return text.count("'") % 2 == 0


def _inserted(text: str, table: str) -> Iterator[Row]:
    head = _COLUMNS.match(text)
    if head is None:
        raise Invalid(f"{table}: an INSERT names no columns; make the dump with --column-inserts, or with COPY")
    columns, at = _names(head[1]), head.end()
    while at < len(text) and text[at] == "(":
        values, at = _tuple(text, at + 1, table)
        if len(values) != len(columns):
            raise Invalid(f"{table}: a row has {len(values)} values for {len(columns)} columns")
        yield dict(zip(columns, values, strict=True))
        at = _after(text, at)


def _tuple(text: str, at: int, table: str) -> tuple[list[str | None], int]:
    values: list[str | None] = []
    while True:
        at = _space(text, at)
        match = _VALUE.match(text, at)
        if match is None:
            raise Invalid(f"{table}: a value of an INSERT cannot be read, near {text[at : at + 10]!r}")
        values.append(_literal(match))
        cast = _CAST.match(text, match.end())
        at = _space(text, cast.end() if cast else match.end())
        if text[at : at + 1] == ")":
            return values, at + 1
        if text[at : at + 1] != ",":
            raise Invalid(f"{table}: a value of an INSERT cannot be read, near {text[at : at + 10]!r}")
        at += 1


def _literal(match: re.Match[str]) -> str | None:
    if match["bare"] is not None:
        return None if match["bare"].upper() == "NULL" else match["bare"]
    if match["escaped"] is not None:
        return _COPY_ESCAPE.sub(_unescaped, match["escaped"].replace("''", "'"))
    return match["plain"].replace("''", "'")


def _after(text: str, at: int) -> int:
    """Go on behind a row: to the next one, or to the end of the statement."""
    at = _space(text, at)
    return _space(text, at + 1) if text[at : at + 1] == "," else len(text)


def _space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _table(name: str) -> str:
    return name.replace('"', "").lower()


def _names(columns: str) -> list[str]:
    return [name.strip().strip('"') for name in columns.split(",")]
