"""Reading and writing the book over HTTP."""

import json

import pytest

from tests.sample.product import Backend, execute


def test_what_is_written_can_be_read(book: Backend) -> None:
    """An entry is answered with 201 as it is kept, and a page shows the same."""
    written = book.write(name=" Ada ", message="Line one\r\nline two \N{GRINNING FACE}", mood="happy")

    assert written.status_code == 201
    entry = written.json()
    assert {key: entry[key] for key in ("name", "message", "mood")} == {
        "name": "Ada",
        "message": "Line one\nline two \N{GRINNING FACE}",
        "mood": "happy",
    }
    assert entry["createdAt"].endswith("+00:00")
    assert book.get("/api/entries").json() == {"entries": [entry], "next": None}


def test_pages_show_every_entry_once_newest_first(book: Backend) -> None:
    """Following `next` shows each entry once, also when somebody writes in between."""
    for number in range(7):
        book.write(name="Ada", message=str(number))

    first = book.get("/api/entries", limit=3).json()
    book.write(name="Ada", message="in between")
    second = book.get("/api/entries", limit=3, after=first["next"]).json()
    third = book.get("/api/entries", limit=3, after=second["next"]).json()

    pages = [[entry["message"] for entry in page["entries"]] for page in (first, second, third)]
    assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    assert third["next"] is None


def test_a_page_has_twenty_entries_unless_asked(book: Backend, book_url: str) -> None:
    """Without `limit` a page has 20 entries; with it up to 100."""
    execute(book_url, "insert into entries (name, message) select 'Ada', n::text from generate_series(1, 101) n")

    assert len(book.get("/api/entries").json()["entries"]) == 20
    assert len(book.get("/api/entries", limit=100).json()["entries"]) == 100


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "ten"),
        ("limit", ""),
        ("limit", "٣"),
        ("after", "0"),
        ("after", "1.5"),
        ("after", "9223372036854775808"),
        ("after", "9" * 5000),
    ],
)
def test_a_page_that_cannot_be_is_refused(book: Backend, key: str, value: str) -> None:
    """A bad `limit` or `after` is a 400 that names the field."""
    answer = book.get("/api/entries", **{key: value})

    assert answer.status_code == 400
    assert list(answer.json()["error"]["fields"]) == [key]


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"message": "no name"}, "name"),
        ({"name": "Ada"}, "message"),
        ({"name": 7, "message": "a number"}, "name"),
        ({"name": None, "message": "null"}, "name"),
        ({"name": " \t ", "message": "blank"}, "name"),
        ({"name": "\u200b\u2060", "message": "shows nothing"}, "name"),
        ({"name": "a" * 81, "message": "long"}, "name"),
        ({"name": "two\nlines", "message": "in a name"}, "name"),
        ({"name": "Ada", "message": "b" * 1001}, "message"),
        ({"name": "Ada", "message": "nul \x00"}, "message"),
        ({"name": "Ada", "message": "half a pair \ud800"}, "message"),
        ({"name": "Ada", "message": "hi", "mood": "furious"}, "mood"),
        ({"name": "Ada", "message": "hi", "mood": ["happy"]}, "mood"),
    ],
)
def test_an_entry_that_cannot_be_kept_names_the_field(book: Backend, entry: dict[str, object], field: str) -> None:
    """An entry that breaks a rule is a 400 with the field and what to change, and is not kept."""
    answer = book.client.post("/api/entries", content=json.dumps(entry), headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert list(answer.json()["error"]["fields"]) == [field]
    assert book.get("/api/entries").json()["entries"] == []


def test_the_longest_entry_is_kept(book: Backend) -> None:
    """Lengths count characters, not bytes: 80 and 1000 of them fit."""
    answer = book.write(name="\N{GRINNING FACE}" * 80, message="\N{GRINNING FACE}" * 1000)

    assert answer.status_code == 201


def test_a_field_it_does_not_know_is_left_alone(book: Backend) -> None:
    """A frontend that is newer than the backend may send more than the backend knows."""
    assert book.write(name="Ada", message="hi", colour="green").status_code == 201


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 10_000])
def test_a_body_that_is_no_entry_is_refused(book: Backend, body: bytes) -> None:
    """What is not a JSON object is a 400 with a JSON error, whatever it is instead."""
    answer = book.client.post("/api/entries", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_a_body_of_another_type_is_refused(book: Backend) -> None:
    """Only application/json is read; a form is a 415."""
    assert book.client.post("/api/entries", data={"name": "Ada"}).status_code == 415


def test_a_body_that_is_too_large_is_refused(book: Backend) -> None:
    """Reading stops at 16 KiB with a 413, also when no length was announced."""
    chunks = (b" " * 1024 for _ in range(32))

    answer = book.client.post("/api/entries", content=chunks, headers={"Content-Type": "application/json"})

    assert answer.status_code == 413


def test_a_page_of_another_origin_may_write(book: Backend) -> None:
    """The frontend lives on another host: the browser's question before a POST is answered, without cookies."""
    asked = {
        "Origin": "https://frontend.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }

    answer = book.client.options("/api/entries", headers=asked)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert book.client.options("/api/entries", headers={**asked, "Access-Control-Request-Method": "PUT"}).is_error


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api", 404), ("PUT", "/api/entries", 405)])
def test_what_the_api_does_not_have_is_a_json_error(book: Backend, method: str, path: str, status: int) -> None:
    """An unknown path or method is answered in the same shape as every other error."""
    answer = book.client.request(method, path)

    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_the_rules_are_those_that_decide(book: Backend) -> None:
    """The page asks for them: each mood is kept, and the longest name and message are."""
    rules = book.get("/api/rules").json()

    for mood in rules["moods"]:
        longest = {key: "a" * most for key, most in rules["longest"].items()}
        assert book.write(**longest, mood=mood).status_code == 201
        assert {
            book.write(**{**longest, key: "a" * (most + 1)}).status_code for key, most in rules["longest"].items()
        } == {400}


def test_connections_that_the_database_closed_cost_no_request(book: Backend, book_url: str) -> None:
    """After a restart of the database the next request is served, not the next but one."""
    book.write(name="Ada", message="before")
    execute(book_url, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'guestbook'")

    assert book.get("/api/entries").status_code == 200
