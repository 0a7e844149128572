"""Everything that can be set from outside, read once.

Options of the command line go before environment variables, these before the home's `dcx.env`, and that before
the defaults. Each variable is the field's name in capitals with DCX_ in front.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from dcx_ari.home_settings import FILE, BadLine, read_file

MOST_WORKERS = 64
DEFAULT_HOME = Path("~/.local/share/dcx")


class SettingsError(Exception):
    """A setting cannot be used: names the variable and the rule."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One engine's settings. Ports are TCP or UDP on `api_host` and `sip_host`: loopback unless told otherwise."""

    home: Path = DEFAULT_HOME
    database_url: str = ""
    redis_url: str = field(default="", repr=False)
    redis_prefix: str = ""
    timezone: str = "America/New_York"
    api_host: str = "127.0.0.1"
    api_port: int = 8080
    sip_host: str = "127.0.0.1"
    sip_port: int = 5060
    rtp_ports: str = "10000-10999"
    ari_port: int = 8088
    ami_port: int = 5038
    ari_url: str = ""
    ari_user: str = "dcx"
    ari_password: str = field(default="", repr=False)
    asterisk_home: str = ""
    app_name: str = "dcx-0"
    workers: int = 1
    drain_s: int = 30
    log_level: str = "INFO"
    public_url: str = ""
    trusted_proxies: str = ""
    external_address: str = ""
    lookup: str = ""
    lookup_key: str = field(default="", repr=False)
    fallback_number: str = ""
    fallback_trunk: str = ""
    smtp_url: str = field(default="", repr=False)
    mail_from: str = ""
    webhook_allow: str = ""
    transcriber: str = ""
    transcriber_key: str = field(default="", repr=False)

    @property
    def rtp_range(self) -> tuple[int, int]:
        """First and last RTP port."""
        low, _, high = self.rtp_ports.partition("-")
        return int(low), int(high)

    @property
    def public_base(self) -> str:
        """How others reach the API: what links in e-mails begin with, without a slash at the end."""
        return (self.public_url or f"http://{self.api_host}:{self.api_port}").rstrip("/")

    @property
    def proxies(self) -> tuple[str, ...]:
        """Networks of the proxies in front of the API."""
        return tuple(part.strip() for part in self.trusted_proxies.split(",") if part.strip())

    @property
    def asterisk_path(self) -> Path:
        """Where Asterisk keeps its things (secrets, spool): `asterisk_home`, or a folder of our own home."""
        return Path(self.asterisk_home).expanduser().absolute() if self.asterisk_home else self.home / "asterisk"

    @property
    def ari_base(self) -> str:
        """Where ARI answers: `ari_url`, or the Asterisk that `dcx up` starts."""
        return self.ari_url or f"http://127.0.0.1:{self.ari_port}/ari"


def read_settings(environment: Mapping[str, str] | None = None, **options: Any) -> Settings:
    """Settings from `options` (None = not given), the environment and the home's `dcx.env`. Raises SettingsError.

    The home becomes absolute, and the database defaults to a SQLite file in it. Nothing is created.
    """
    env = os.environ if environment is None else environment
    home = _home(options.pop("home", None) or env.get("DCX_HOME", "").strip() or DEFAULT_HOME)
    values: dict[str, Any] = {"home": home}
    kept = _kept(home)
    for each in fields(Settings)[1:]:
        variable = f"DCX_{each.name.upper()}"
        given = options.pop(each.name, None)
        text = given if given is not None else env.get(variable, "").strip() or kept.get(variable) or None
        if text is not None:
            values[each.name] = _number(variable, text) if each.type == "int" else text
    if options:
        raise TypeError(f"unknown settings: {', '.join(options)}")
    values.setdefault("database_url", f"sqlite+aiosqlite:///{values['home']}/dcx.db")
    settings = Settings(**values)
    _check(settings)
    return settings


def _home(given: str | Path) -> Path:
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError:
        raise SettingsError("DCX_HOME: there is no home directory: name one with --home") from None


def _kept(home: Path) -> Mapping[str, str]:
    """What the home's own file says; a name that is no setting is told, as it may be a spelling mistake."""
    try:
        kept = read_file(home)
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}") from None
    except BadLine as error:
        raise SettingsError(str(error)) from None
    known = {f"DCX_{each.name.upper()}" for each in fields(Settings)} - {"DCX_HOME"}
    for variable in kept:
        if variable not in known:
            raise SettingsError(f"{home / FILE}: {variable} is no setting that can be kept here")
    return kept


def _number(variable: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise SettingsError(f"{variable}: must be a whole number, not {value!r}") from None


def _check(settings: Settings) -> None:
    for name in ("api_port", "sip_port", "ari_port", "ami_port"):
        if not 1 <= getattr(settings, name) <= 65_535:
            raise SettingsError(f"DCX_{name.upper()}: must be a port, 1 to 65535")
    if not 1 <= settings.workers <= MOST_WORKERS:
        raise SettingsError(f"DCX_WORKERS: must be 1 to {MOST_WORKERS}")
    if not 0 <= settings.drain_s <= 86_400:
        raise SettingsError("DCX_DRAIN_S: must be 0 to 86400 seconds")
    ports = (settings.api_port, settings.ari_port)
    if ports[0] == ports[1]:
        raise SettingsError(f"DCX_ARI_PORT: must differ from DCX_API_PORT, both are {ports[0]}")
    try:
        low, high = settings.rtp_range
    except ValueError:
        low, high = 0, 0
    if not 1024 <= low < high <= 65_535 or high - low < 3:
        raise SettingsError("DCX_RTP_PORTS: must be a range such as 10000-10999 within 1024 to 65535")
    try:
        ZoneInfo(settings.timezone)
    except (KeyError, ValueError, OSError):
        raise SettingsError("DCX_TIMEZONE: must be an IANA time zone such as America/New_York") from None
    if settings.ari_url and not settings.ari_url.startswith(("http://", "https://")):
        raise SettingsError("DCX_ARI_URL: must begin with http:// or https://")
    if settings.public_url and not settings.public_url.startswith(("http://", "https://")):
        raise SettingsError("DCX_PUBLIC_URL: must begin with http:// or https://")
    for text in settings.proxies:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise SettingsError(
                f"DCX_TRUSTED_PROXIES: {text!r} is not an address or a network such as 10.0.0.0/8"
            ) from None
    if settings.redis_url and not settings.redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingsError("DCX_REDIS_URL: must begin with redis://, rediss:// or unix://")
    if settings.redis_prefix and not settings.redis_prefix.replace("-", "").replace("_", "").isalnum():
        raise SettingsError("DCX_REDIS_PREFIX: must be letters, digits, - and _")
    if settings.log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingsError("DCX_LOG_LEVEL: must be DEBUG, INFO, WARNING or ERROR")
    _check_outgoing(settings)
    if not settings.app_name.replace("-", "").replace("_", "").isalnum():
        raise SettingsError("DCX_APP_NAME: must be letters, digits, - and _")


def _check_outgoing(settings: Settings) -> None:
    """What is loaded for this is needed only where it is set."""
    if settings.smtp_url or settings.mail_from:
        from dcx_ari.integrations.mail import check_sender, parse_server

        if not (settings.smtp_url and settings.mail_from):
            raise SettingsError(f"DCX_{'MAIL_FROM' if settings.smtp_url else 'SMTP_URL'}: is needed to send mail, too")
        for variable, check, value in (
            ("DCX_SMTP_URL", parse_server, settings.smtp_url),
            ("DCX_MAIL_FROM", check_sender, settings.mail_from),
        ):
            try:
                check(value)
            except ValueError as error:
                raise SettingsError(f"{variable}: {error}") from None
    if settings.webhook_allow:
        from dcx_ari.store.targets import networks

        try:
            networks(settings.webhook_allow)
        except ValueError:
            raise SettingsError("DCX_WEBHOOK_ALLOW: must be networks such as 10.1.0.0/16, 192.0.2.7") from None
