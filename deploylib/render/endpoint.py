"""Where an environment's API is, and the key to it."""

from __future__ import annotations

import msgspec

from deploylib.errors import SettingsError, Unreachable
from deploylib.models import Secret, decoding
from deploylib.models.units import is_address
from deploylib.settings import Config

__all__ = ["RENDER_API", "Endpoint", "find_api_url", "find_endpoint"]

RENDER_API = "https://api.render.com/v1"


class Endpoint(msgspec.Struct, frozen=True):
    """Where the platform's API is, and the key to it."""

    api_url: str
    api_key: Secret


class _Written(msgspec.Struct, frozen=True):
    """The local Render's record of itself, as far as needed."""

    api_url: str
    api_key: str


def find_endpoint(config: Config) -> Endpoint:
    """Find the API of an environment and the key to it.

    Of ``local`` in what the local Render has written down.

    Raises:
        SettingsError: the key's variable is not set, or holds no key.
        Unreachable: the local Render is not running.
    """
    if config.is_local:
        try:
            written = decoding.json((config.local_state / "endpoint.json").read_bytes(), _Written)
        except FileNotFoundError as error:
            raise Unreachable("the local Render is not running", remedy="inv local.up") from error
        except (OSError, decoding.Undecodable) as error:
            message = f"{config.local_state / 'endpoint.json'} cannot be read"
            raise Unreachable(message, remedy="inv local.down, then inv local.up") from error
        return Endpoint(written.api_url, Secret(written.api_key))
    key = config.environ.get(config.environment.api_key_env, "").strip()
    if not key:
        raise SettingsError(
            f"{config.environment.api_key_env} is not set: the API key for environment {config.name!r}",
            remedy=f"{config.explain_setting(config.environment.api_key_env)}  (Render Dashboard → Account settings → API keys)",
        )
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(
            f"{config.environment.api_key_env} is no API key: it holds characters that none has",
            remedy=f"export {config.environment.api_key_env}=…, as the Dashboard shows it (Account settings → API keys)",
        )
    return Endpoint(find_api_url(config), Secret(key))


def find_api_url(config: Config) -> str:
    """Find an environment's API; no key is needed for that.

    Raises:
        SettingsError: what the settings or ``RENDER_HOST`` say is no address.
        Unreachable: the local Render is not running.
    """
    if config.is_local:
        return find_endpoint(config).api_url
    url = config.environment.api_url or config.environ.get("RENDER_HOST", "") or RENDER_API
    if not is_address(url):
        where = f"environments.{config.name}.api_url" if config.environment.api_url else "RENDER_HOST"
        message = f"{where}: it is no address, so that nobody could be asked there"
        raise SettingsError(message, remedy=f'write it like "{RENDER_API}", or leave it out')
    return url.rstrip("/")
