"""Watching a running kit: logs without personal data, and health checks."""

from corekit.watch.health import Check, Health
from corekit.watch.logs import LogSettings, configure_logs, get_logger

__all__ = ["Check", "Health", "LogSettings", "configure_logs", "get_logger"]
