"""Settings: one TOML file, checked whole; every mistake says where it stands and how to mend it."""

from smsgate.config.loading import Loaded, load_configuration, load_settings, settings_of
from smsgate.config.settings import (
    DatabaseSettings,
    HttpSettings,
    LogSettings,
    NodeSettings,
    RetentionSettings,
    SendingSettings,
    Settings,
    WebhookSettings,
)

__all__ = [
    "DatabaseSettings",
    "HttpSettings",
    "Loaded",
    "LogSettings",
    "NodeSettings",
    "RetentionSettings",
    "SendingSettings",
    "Settings",
    "WebhookSettings",
    "load_configuration",
    "load_settings",
    "settings_of",
]
