"""Settings from the command line and the environment."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from dcx_ari.settings import Settings, SettingsError, read_settings

pytestmark = pytest.mark.unit


def test_defaults_listen_on_loopback():
    settings = read_settings({"HOME": "/home/x"}, home=Path("/srv/dcx"))
    assert settings.database_url == "sqlite+aiosqlite:////srv/dcx/dcx.db"
    assert (settings.api_host, settings.sip_host, settings.api_port) == ("127.0.0.1", "127.0.0.1", 8080)
    assert settings.rtp_range == (10000, 10999)
    assert settings.ari_base == "http://127.0.0.1:8088/ari"


def test_options_go_before_the_environment():
    env = {"DCX_HOME": "/a", "DCX_API_PORT": "9000", "DCX_SIP_PORT": " ", "DCX_TIMEZONE": "Europe/Berlin"}
    settings = read_settings(env, home="/b", api_port=None)
    assert (settings.home, settings.api_port, settings.sip_port) == (Path("/b"), 9000, 5060)
    assert settings.timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DCX_API_PORT", "http"),
        ("DCX_API_PORT", "0"),
        ("DCX_SIP_PORT", "70000"),
        ("DCX_ARI_PORT", "8080"),
        ("DCX_RTP_PORTS", "10000"),
        ("DCX_RTP_PORTS", "20000-10000"),
        ("DCX_RTP_PORTS", "a-b"),
        ("DCX_TIMEZONE", "Mars/Olympus"),
        ("DCX_TIMEZONE", "../../etc/passwd"),
        ("DCX_ARI_URL", "localhost:8088"),
        ("DCX_PUBLIC_URL", "dcx.example.com"),
        ("DCX_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("DCX_TRUSTED_PROXIES", "proxy.example.com"),
        ("DCX_REDIS_URL", "localhost"),
        ("DCX_REDIS_PREFIX", "a b"),
        ("DCX_LOG_LEVEL", "LOUD"),
        ("DCX_APP_NAME", "a b"),
        ("DCX_WEBHOOK_ALLOW", "intranet"),
        ("DCX_WEBHOOK_ALLOW", "10.0.0.1/8"),
    ],
)
def test_malformed_values_name_the_variable(variable: str, value: str):
    with pytest.raises(SettingsError, match=f"^{variable}: "):
        read_settings({variable: value}, home="/x")


@pytest.mark.parametrize(
    ("smtp_url", "mail_from", "variable"),
    [
        ("smtp://mail.example.com", "", "DCX_MAIL_FROM"),
        ("", "dcx@example.com", "DCX_SMTP_URL"),
        ("mail.example.com:25", "dcx@example.com", "DCX_SMTP_URL"),
        ("smtp://mail.example.com:port", "dcx@example.com", "DCX_SMTP_URL"),
        ("smtp://mail.example.com/inbox", "dcx@example.com", "DCX_SMTP_URL"),
        ("smtp://mail.example.com", "dcx", "DCX_MAIL_FROM"),
        ("smtp://mail.example.com", "DCX <dcx@example.com>\nBcc: x@example.com", "DCX_MAIL_FROM"),
    ],
)
def test_mail_needs_a_server_and_a_sender(smtp_url: str, mail_from: str, variable: str):
    with pytest.raises(SettingsError, match=f"^{variable}: "):
        read_settings({"DCX_SMTP_URL": smtp_url, "DCX_MAIL_FROM": mail_from}, home="/x")


def test_no_secret_in_the_representation():
    assert "hush" not in repr(
        read_settings({"DCX_SMTP_URL": "smtps://a:hush@b", "DCX_MAIL_FROM": "a@b.org"}, home="/x")
    )
    assert "hush" not in repr(read_settings({"DCX_ARI_PASSWORD": "hush"}, home="/x"))


def test_few_settings():
    # Mail and webhooks came with three; a proxy in front, look-ups, transcription and workers with two each, Redis
    # with one more: several installations may share one.
    assert len(fields(Settings)) <= 32
