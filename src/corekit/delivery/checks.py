"""What may be sent at all: one plain address, one line of subject, sizes. The sink refuses what SMTP would refuse."""

import re

from corekit.contracts.delivery import Mail, Sms
from corekit.errors import Invalid

# Line breaks of any kind and other control characters would begin another header or command. So would an encoded word
# (RFC 2047) that spells them: the standard library decodes it where a plain text is meant, and writes what it says.
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]|=\?.*\?=")
_ATOM = r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f-\x9f]+"
ADDRESS = re.compile(rf"(?=.{{3,255}}\Z){_ATOM}@{_ATOM}")
NUMBER = re.compile(r"[1-9][0-9]{1,14}")
_PLAIN = "without control characters and encoded words"
MAX_SUBJECT, MAX_BODY, MAX_SMS, MAX_LABEL = 500, 1_000_000, 1_600, 100


def demand_mail(mail: Mail) -> None:
    """Refuse a mail that could be something else than one mail to one address.

    Raises:
        Invalid: naming the field.

    """
    if UNFIT.search(mail.to) or not ADDRESS.fullmatch(mail.to):
        raise Invalid("expected one e-mail address, of at most 255 characters", pointer="/to")
    if UNFIT.search(mail.subject) or not 0 < len(mail.subject) <= MAX_SUBJECT:
        raise Invalid(f"expected one line of 1 to {MAX_SUBJECT} characters, {_PLAIN}", pointer="/subject")
    if not mail.text:
        raise Invalid("expected a text, also beside HTML", pointer="/text")
    _demand_short("text", mail.text, MAX_BODY)
    _demand_short("html", mail.html, MAX_BODY)
    _demand_labels(mail)


def demand_sms(sms: Sms) -> None:
    """Refuse an SMS that no provider would take.

    Raises:
        Invalid: naming the field.

    """
    if not NUMBER.fullmatch(sms.to):
        raise Invalid("expected 2 to 15 digits with the country prefix, without +", pointer="/to")
    if not sms.text:
        raise Invalid("expected a text", pointer="/text")
    _demand_short("text", sms.text, MAX_SMS)
    _demand_labels(sms)


def _demand_labels(message: Mail | Sms) -> None:
    for name, label in (("kind", message.kind), ("locale", message.locale)):
        if UNFIT.search(label):
            raise Invalid(f"expected one line {_PLAIN}", pointer=f"/{name}")
        _demand_short(name, label, MAX_LABEL)


def _demand_short(name: str, value: str, most: int) -> None:
    if len(value) > most:
        raise Invalid(f"expected at most {most} characters", pointer=f"/{name}")
