"""`[payments.upi]`: who is paid by links of ours, and what is refused or warned of."""

import re
from typing import Annotated

import msgspec

from corekit.errors import ConfigError
from corekit.settings import Settings
from corekit_payments.upi import links, vpa
from corekit_payments.upi.limits import LimitRow

_MCC = re.compile(r"[0-9]{4}")


class UpiSettings(Settings, frozen=True):
    """Links of ours pay `payee_vpa`, shown as `payee_name`, a merchant of the category code `mcc` (ISO 18245).

    A VPA that a person types has at most `typed_vpa_max` characters. Rows of `limits` (`category`, `effective_from`,
    `per_payment` and `per_day` in paise, `mccs`) stand instead of or beside those of the package. `collect` cannot be
    switched on: NPCI ended requests to pay on 28 Feb 2026.
    """

    payee_vpa: str = ""
    payee_name: str = ""
    mcc: str = ""
    typed_vpa_max: Annotated[int, msgspec.Meta(ge=3, le=vpa.PSP_MAX)] = vpa.TYPED_MAX
    collect: bool = False
    limits: tuple[LimitRow, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a payee that no link can name, and collect (ConfigError)."""
        if self.collect:
            raise ConfigError(
                "[payments.upi] collect: NPCI ended collect requests on 28 Feb 2026; payers use a link or a QR code"
            )
        if self.mcc and not _MCC.fullmatch(self.mcc):
            raise ConfigError("[payments.upi] mcc: four digits")
        if bool(self.payee_vpa) != bool(self.payee_name):
            raise ConfigError("[payments.upi] payee_vpa and payee_name go together")
        if self.payee_vpa:
            try:
                links.build(links.Link(payee=vpa.parse(self.payee_vpa), name=self.payee_name))
            except ValueError as error:
                raise ConfigError(f"[payments.upi] payee_vpa, payee_name: {error}") from None

    @property
    def payee(self) -> links.Link | None:
        """Return a link to the operator without reference and amount; None where nobody is named."""
        if not self.payee_vpa:
            return None
        return links.Link(payee=vpa.parse(self.payee_vpa), name=self.payee_name, mcc=self.mcc or None)
