"""The inbox of webhooks: what providers tell is verified and kept at once, and worked on afterwards."""

from corekit_payments.inbox.jobs import WebhookJobs
from corekit_payments.inbox.processing import Processing
from corekit_payments.inbox.rows import WebhookInboxRow
from corekit_payments.inbox.taking import Inbox

__all__ = ["Inbox", "Processing", "WebhookInboxRow", "WebhookJobs"]
