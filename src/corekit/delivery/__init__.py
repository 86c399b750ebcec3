"""Mail and SMS as the core delivers them: by SMTP, or into a table that developers look at (`corekit mail list`)."""

from corekit.delivery.senders import make_senders
from corekit.delivery.settings import MailSettings, SmsSettings
from corekit.delivery.sink import PURPOSE, OutboxMail, OutboxSms, SentMessage, sent, sent_one

__all__ = [
    "PURPOSE",
    "MailSettings",
    "OutboxMail",
    "OutboxSms",
    "SentMessage",
    "SmsSettings",
    "make_senders",
    "sent",
    "sent_one",
]
