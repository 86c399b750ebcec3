"""Which senders the core brings, as the settings and the environment say."""

from collections.abc import Collection
from typing import Any

from corekit.context import Kit
from corekit.contracts.delivery import MailSender, SmsSender
from corekit.delivery.settings import MailSettings, SmsSettings
from corekit.delivery.sink import OutboxMail, OutboxSms
from corekit.errors import ConfigError
from corekit.settings import Config


def make_senders(kit: Kit, config: Config, replaced: Collection[Any] = ()) -> dict[Any, Any]:
    """Make the core's senders by contract, without those that are off or that a plugin brings itself.

    Raises:
        ConfigError: the settings cannot be used; it names the setting.

    """
    mail, sms = config.table("mail", MailSettings), config.table("sms", SmsSettings)
    carriers = {MailSender: mail.chosen(kit.env), SmsSender: sms.chosen(kit.env)}
    makers = {
        (MailSender, "smtp"): lambda: _smtp(mail),
        (MailSender, "outbox"): OutboxMail,
        (SmsSender, "outbox"): OutboxSms,
    }
    return {
        contract: makers[contract, carrier]()
        for contract, carrier in carriers.items()
        if carrier != "off" and contract not in replaced
    }


def _smtp(settings: MailSettings) -> MailSender:
    settings.demand_smtp()
    try:
        from corekit.delivery.smtp import SmtpMail  # noqa: PLC0415  # needs the extra corekit[mail]
    except ImportError:
        raise ConfigError("[mail] SMTP needs aiosmtplib: install corekit[mail]") from None
    return SmtpMail(settings)
