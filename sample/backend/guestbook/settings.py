"""What the environment says, read once at the start."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict


class SettingsError(Exception):
    """The environment does not let the service start; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process."""

    database_url: str = field(repr=False)
    host: str
    port: int
    shutdown_seconds: int
    """How long requests in flight may take after SIGTERM: less than Render's maxShutdownDelaySeconds."""


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings, or raise SettingsError."""
    return Settings(
        database_url=_database_url(environ),
        host=environ.get("HOST") or "0.0.0.0",  # noqa: S104 - Render's edge reaches the process from outside
        port=_number(environ, "PORT", default=10000, largest=65535),
        shutdown_seconds=_number(environ, "SHUTDOWN_SECONDS", default=20, largest=300),
    )


def _database_url(environ: Mapping[str, str]) -> str:
    url = environ.get("DATABASE_URL", "").strip()
    if not url:
        raise SettingsError(
            "DATABASE_URL is not set. Set it to postgresql://user:password@host:5432/name "
            "(on Render: fromDatabase with property connectionString in render.yaml)."
        )
    try:
        conninfo_to_dict(url)
    except ProgrammingError:  # its text quotes the URL, and so the password
        raise SettingsError(
            "DATABASE_URL is not a Postgres URL. It looks like postgresql://user:password@host:5432/name, "
            "with special characters in the password percent-encoded."
        ) from None
    return url


def _number(environ: Mapping[str, str], key: str, *, default: int, largest: int) -> int:
    text = environ.get(key) or str(default)
    if text.isascii() and text.isdigit() and 0 < int(text) <= largest:
        return int(text)
    raise SettingsError(f"{key} is {text!r}, but has to be a whole number from 1 to {largest}.")
