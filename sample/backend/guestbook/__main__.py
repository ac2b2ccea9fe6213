"""Start the guest book: `python -m guestbook`."""

import logging
import os
import sys

import uvicorn

from .app import create_app
from .settings import SettingsError, load


def main() -> int:
    """Serve until SIGTERM; the result is the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # its texts name hosts, users, parts of passwords
    try:
        settings = load(os.environ)
    except SettingsError as error:
        print(f"guestbook cannot start: {error}", file=sys.stderr)
        return 2

    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        access_log=False,  # Render's edge logs each request
        log_config=None,
        server_header=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
