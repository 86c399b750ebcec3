"""Conversations and their messages."""

from corekit_chat.plugin import ChatPlugin
from corekit_chat.settings import ChatSettings

__all__ = ["ChatPlugin", "ChatSettings"]
