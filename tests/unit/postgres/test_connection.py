"""The database's edge: what leaves it is a code from a fixed list, never the driver's text."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from deploylib.errors import SettingsError, Unreachable
from deploylib.models import Facts, Secret
from deploylib.postgres import connection
from deploylib.postgres.connection import REMEDIES, alter_url, child_environment, is_plain

CODE = connection._code  # noqa: SLF001 - a pure function, told by what the servers really say


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('connection to server at "10.0.0.1", port 5432 failed: Connection refused', "refused"),
        ("connection failed: FATAL:  the database system is starting up", "starting"),
        ("connection failed: FATAL:  the database system is shutting down", "starting"),
        ("connection failed: server closed the connection unexpectedly", "refused"),
        ("connection timeout expired", "timeout"),
        ("connection to server failed: Operation timed out", "timeout"),
        ('FATAL:  password authentication failed for user "book"', "auth"),
        ("fe_sendauth: no password supplied", "auth"),
        ('FATAL:  role "nobody" does not exist', "auth"),
        ('FATAL:  database "missing" does not exist', "no such database"),
        ("[Errno -2] Name or service not known", "dns"),
        ('could not translate host name "db.example" to address', "dns"),
        ("failed to resolve host 'db.example': [Errno 8] nodename nor servname provided", "dns"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "book", no encryption', "tls"),
        ("FATAL:  SSL/TLS required", "tls"),
        ("connection failed: FATAL:  sorry, too many clients already", "full"),
        ('connection failed: FATAL:  too many connections for role "book"', "full"),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", "full"),
        ('FATAL:  permission denied for database "book"', "rights"),
        ('FATAL:  database "book" is not currently accepting connections', "rights"),
        ('FATAL:  role "book" is not permitted to log in', "auth"),
        ("FATAL:  the database system is in recovery mode", "starting"),
        ('root certificate file "/root/.postgresql/root.crt" does not exist', "certificate"),
        ("SSL error: certificate verify failed", "certificate"),
        ('server certificate for "a" does not match host name "b"', "certificate"),
        ("server does not support SSL, but SSL was required", "no tls"),
        ("expected authentication request from server, but received H", "not postgres"),
        ("received invalid response to SSL negotiation: H", "not postgres"),
        ("connection to server failed: Network is unreachable", "route"),
        ("connection to server failed: No route to host", "route"),
        ("could not translate host name: Temporary failure in name resolution", "dns"),
        ("could not receive data from server: Connection reset by peer", "refused"),
        ("FATAL:  Passwort-Authentifizierung fehlgeschlagen", "other"),
        ('invalid sslmode value: "nonsense"', "url"),
        ("something new", "other"),
    ],
)
def test_what_the_driver_says_becomes_a_code(said: str, code: str) -> None:
    """One of a few, each with a remedy of its own."""
    assert code == CODE(said)
    assert REMEDIES[code]


def test_a_database_that_refuses_is_unreachable_without_a_word_of_its_address() -> None:
    """Host, user and password stay inside, in the error and in what caused it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = Secret(f"postgresql://anna:p4ss-w0rd@127.0.0.1:{port}/book")

    with pytest.raises(Unreachable, match="the database cannot be reached: refused") as raised:
        connection.facts(url, timeout=2)

    error = raised.value
    assert REMEDIES["refused"] == error.remedy
    assert error.__cause__ is None
    assert error.__suppress_context__
    shown = f"{error} {error!r} {error.details} {error.diagnostics()}"
    assert not [word for word in ("p4ss", "anna", "127.0.0.1") if word in shown]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"])
def test_a_child_gets_the_connection_as_variables(scheme: str) -> None:
    """Whatever driver the URL names; escapes in the password are undone."""
    url = Secret(f"{scheme}://book:p%40ss%2F1@db.example:5433/books?sslmode=require&options=-c%20x%3D1")

    assert child_environment(url) == {
        "PGHOST": "db.example",
        "PGPORT": "5433",
        "PGUSER": "book",
        "PGPASSWORD": "p@ss/1",
        "PGDATABASE": "books",
        "PGSSLMODE": "require",
        "PGOPTIONS": "-c x=1",
    }


def test_a_child_verifies_the_server_as_the_url_says() -> None:
    """Every parameter that has a variable goes along: without its certificate it would trust anybody, or nobody."""
    wanted = {
        "sslmode": "verify-full", "sslrootcert": "/ca.pem", "sslcert": "/c.pem", "sslkey": "/k.pem", "sslcrl": "/crl.pem",
        "channel_binding": "require", "target_session_attrs": "read-write",
        "gssencmode": "disable", "hostaddr": "10.0.0.1", "passfile": "/p", "require_auth": "scram-sha-256",
    }  # fmt: skip
    url = Secret("postgresql://db.example/books?" + "&".join(f"{name}={value}" for name, value in wanted.items()))

    names = {f"PG{name.replace('_', '').upper()}": value for name, value in wanted.items()}
    assert child_environment(url) == {"PGHOST": "db.example", "PGDATABASE": "books", **names}


def test_another_database_of_the_same_server_is_reached_in_the_same_way() -> None:
    """Also with a password that looks like a URL."""
    url = Secret("postgresql+psycopg://book:a+b%3A%2F%2Fc@db.example:5433/books?sslmode=require")

    assert child_environment(alter_url(alter_url(url, dbname="other"), user="reader")) == {
        "PGHOST": "db.example",
        "PGPORT": "5433",
        "PGUSER": "reader",
        "PGPASSWORD": "a+b://c",
        "PGDATABASE": "other",
        "PGSSLMODE": "require",
    }


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("postgres://book:p%2Fw@db.example:5433/books?sslmode=require", "postgresql://book:p%2Fw@db.example:5433/other?sslmode=require"),
        ("postgresql://book@[::1]:5433/books", "postgresql://book@[::1]:5433/other"),
        ("postgresql://db.example/books", "postgresql://db.example/other"),
        ("postgresql:///books?host=/run&port=5433", "postgresql://localhost/other?host=%2Frun&port=5433"),
        ("postgresql://a:1,b:2/books", "postgresql:///other?host=a%2Cb&port=1%2C2"),
    ],
)  # fmt: skip
def test_the_address_of_another_database_is_written_as_people_write_it(url: str, other: str) -> None:
    """Host and port before the path; only what cannot be there is in the query."""
    assert alter_url(Secret(url), dbname="other").reveal() == other


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///books?host=/run&port=5433",
        "postgresql://localhost/books?host=/run",
        "postgresql://%2Frun/books",
        "postgresql:///books?host=db.example",
        "postgresql://db.example/books?host=other.example",
        "postgresql://db.example/books?hostaddr=10.0.0.1",
        "postgresql://a:1,b:2/books",
        "postgresql:///books",
    ],
)
def test_a_place_that_only_libpq_finds_is_not_plain(url: str) -> None:
    """Others would take the machine's own port 5432 for it."""
    assert not is_plain(Secret(url))


def test_a_host_before_the_path_is_plain() -> None:
    """Whatever else the URL says."""
    assert is_plain(Secret("postgres://book:p%2Fw@db.example:5433/books?sslmode=require"))
    assert is_plain(Secret("postgresql+psycopg://book@DB.example/books"))
    assert is_plain(Secret("postgresql://book@[::1]:5433/books"))


def test_what_the_url_does_not_say_is_not_set() -> None:
    """So that it stays what the machine's own settings say."""
    assert child_environment(Secret("postgresql://db.example/books")) == {"PGHOST": "db.example", "PGDATABASE": "books"}


WORD, AT = "p4ss", "@"


@pytest.mark.parametrize("use", [child_environment, connection.facts, lambda url: alter_url(url, dbname="other")])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p4ss@h:x%zz/d",
        "postgresql://[::1/d",
        "host='p4ss",
        "http://p4ss",
        f"postgresql://u:{WORD}%00{AT}h/d",
        f"postgresql://u:{WORD}\udcff{AT}h/d",
        "postgresql://h/d?p4ss=1",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_showing_it(use: Callable[[Secret], object], url: str) -> None:
    """With how to write it, whatever it is used for; not in the cause either."""
    with pytest.raises(SettingsError, match="URL cannot be read") as raised:
        use(Secret(url))

    error = raised.value
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert "p4ss" not in f"{error} {error.remedy} {error.details}"


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".example"])
def test_a_host_that_can_be_no_name_is_unreachable(host: str) -> None:
    """It is not even asked for."""
    with pytest.raises(Unreachable) as raised:
        connection.facts(Secret(f"postgresql://u@{host}/d"), timeout=2)

    assert REMEDIES["dns"] == raised.value.remedy


@pytest.mark.parametrize(("version", "major"), [("16.14", 16), ("9.6.24", 9), ("18beta1", 18), ("17", 17)])
def test_the_major_version_is_the_first_number(version: str, major: int) -> None:
    """The programs have to fit it."""
    assert major == Facts(version=version, size=0, empty=True, revision="").major
