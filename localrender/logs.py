"""Log lines: written in batches, asked for as Render's `/logs` does (time pages, direction, filters)."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localrender.requestlog import RequestLog
    from localrender.state import State

_KEPT = 20_000
_ERROR = re.compile(r"\b(?:error|critical|fatal|traceback|exception)\b", re.IGNORECASE)
_WARNING = re.compile(r"\bwarn(?:ing)?\b", re.IGNORECASE)
_REQUESTS_KEPT = 5_000
_COLUMNS = "moment, resource, instance, type, level, message, labels"


class Line(msgspec.Struct, frozen=True):
    """One line of a build, of an instance or of the edge; the moment is in microseconds and never occurs twice."""

    moment: int
    resource: str
    instance: str
    type: str
    level: str
    message: str
    labels: str = "{}"
    """What a request's line bears besides, as JSON: host, statusCode, method, path."""

    @property
    def more(self) -> dict[str, str]:
        """Those labels."""
        return msgspec.json.decode(self.labels, type=dict[str, str])


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What `/logs` asks for; an empty filter lets everything through."""

    resources: Sequence[str]
    start: int
    end: int
    forward: bool = False
    limit: int = 20
    types: Sequence[str] = ()
    instances: Sequence[str] = ()
    levels: Sequence[str] = ()
    texts: Sequence[str] = ()
    labels: dict[str, Sequence[str]] = {}
    """What a request's line has to bear: values by the label's name."""


class Logs:
    """The log of everything that runs here."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.waiting: list[Line] = []
        self.last = self.state.sql.execute("select coalesce(max(moment), 0) from log").fetchone()[0]
        self.written = 0
        self.requests: RequestLog | None = None

    def add(
        self, resource: str, kind: str, message: str, instance: str = "", labels: dict[str, str] | None = None
    ) -> None:
        """Take a line; it is stored by the next flush."""
        self.last = max(self.last + 1, time.time_ns() // 1000)
        level = "error" if _ERROR.search(message) else "warning" if _WARNING.search(message) else "info"
        more = msgspec.json.encode(labels or {}).decode()
        self.waiting.append(Line(self.last, resource, instance, kind, level, message, more))

    def flush(self) -> None:
        """Store what has come in; now and then drop the oldest lines."""
        if self.requests is not None:
            self.requests.take()
        lines, self.waiting = self.waiting, []
        if not lines:
            return
        rows = [msgspec.structs.astuple(line) for line in lines]
        with self.state.together():
            self.state.sql.executemany(f"insert into log ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608
        self.written += len(rows)
        if self.written > _KEPT // 10:
            self.written = 0
            self.state.sql.execute(
                "delete from log where moment <= (select moment from log order by moment desc limit 1 offset ?)",
                (_KEPT,),
            )
            self.state.sql.execute(
                "delete from log where type = 'request' and moment <= "
                "(select moment from log where type = 'request' order by moment desc limit 1 offset ?)",
                (_REQUESTS_KEPT,),
            )

    def find(self, query: Query) -> tuple[list[Line], bool]:
        """The lines of one page, in the order asked for, and whether more follow."""
        self.flush()
        found: list[Line] = []
        for line in self._rows(query):
            if len(found) == query.limit:
                return found, True
            found.append(line)
        return found, False

    def _rows(self, query: Query) -> Iterator[Line]:
        marks = ", ".join("?" * len(query.resources))
        order = "asc" if query.forward else "desc"
        question = f"select {_COLUMNS} from log where resource in ({marks}) and moment >= ? and moment < ?"  # noqa: S608
        rows = self.state.sql.execute(f"{question} order by moment {order}", (*query.resources, query.start, query.end))
        filters = [
            ("type", [_pattern(word) for word in query.types]),
            ("instance", [_pattern(word) for word in query.instances]),
            ("level", [_pattern(word) for word in query.levels]),
        ]
        texts = [_pattern(word) for word in query.texts]
        borne = {name: [_pattern(word) for word in words] for name, words in query.labels.items() if words}
        for row in rows:
            line = Line(*row)
            named = all(
                not wanted or any(pattern.fullmatch(getattr(line, name)) for pattern in wanted)
                for name, wanted in filters
            )
            if named and borne:
                more = line.more
                named = all(
                    any(each.fullmatch(more.get(name, "")) for each in wanted) for name, wanted in borne.items()
                )
            if named and (not texts or any(pattern.search(line.message) for pattern in texts)):
                yield line


def _pattern(word: str) -> re.Pattern[str]:
    """A filter of Render: `/regex/`, or text in which `*` stands for anything."""
    if len(word) > 1 and word.startswith("/") and word.endswith("/"):
        return re.compile(word[1:-1])
    return re.compile(".*".join(re.escape(part) for part in word.split("*")), re.IGNORECASE)
