"""What the account's holder and the broker allow. Decides who may trade, short, buy fractions, and at which multiplier.

The holder's wishes are `PATCH /v2/account/configurations` (reference 4.2) and outlive a restart; the broker's flags
(reference 4.1) are a fault that somebody sets, and do not.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from quant_trading_system.simulator.refusals import forbidden, invalid
from quant_trading_system.simulator.settings import ExchangeSettings

MULTIPLIERS = ("1", "2", "4")
_CHECKS = ("both", "entry", "exit")
_FLAG_NAMES = (
    "disable_overnight_trading",
    "fractional_trading",
    "no_shorting",
    "ptp_no_exception_entry",
    "suspend_trade",
)
_CHOICES = {
    "max_margin_multiplier": MULTIPLIERS,
    "trade_confirm_email": ("all", "none"),
    "dtbp_check": _CHECKS,
    "pdt_check": _CHECKS,
}
_REMOVED = ("dtbp_check", "pdt_check")  # on 2026-07-06; alpaca-py goes on to send them, as null
OPTIONS_LEVEL_MAX = 3
STATUSES = (
    "INACTIVE",
    "PAPER_ONLY",
    "ONBOARDING",
    "SUBMISSION_FAILED",
    "SUBMITTED",
    "ACCOUNT_UPDATED",
    "APPROVAL_PENDING",
    "ACTIVE",
    "REJECTED",
    "ACCOUNT_CLOSED",
    "APPROVED",
    "ACCOUNT_CLOSED_PENDING",
    "ACTION_REQUIRED",
    "LIMITED",
)


class Configurations(msgspec.Struct, frozen=True, kw_only=True):
    """The account's configurations; those of day trades are told by older profiles alone."""

    disable_overnight_trading: bool = False
    fractional_trading: bool = True
    max_margin_multiplier: str = "4"
    max_options_trading_level: int | None = None
    no_shorting: bool = False
    ptp_no_exception_entry: bool = False
    suspend_trade: bool = False
    trade_confirm_email: str = "all"
    dtbp_check: str = "entry"
    pdt_check: str = "entry"

    def changed(self, body: Mapping[str, object]) -> Configurations:
        """The same with a body's fields; unknown ones are ignored, and so are checks of old that say nothing.

        Raises:
            Refusal: 422, a field has a value that it cannot have.
        """
        known = {
            name: value
            for name, value in body.items()
            if name in self.__struct_fields__ and not (value is None and name in _REMOVED)
        }
        for name, value in known.items():
            if name in _FLAG_NAMES and not isinstance(value, bool):
                raise invalid(f"{name} must be a boolean")
            if name in _CHOICES and value not in _CHOICES[name]:
                raise invalid(f"{name} must be one of {', '.join(_CHOICES[name])}")
            if name == "max_options_trading_level" and not _is_level(value):
                raise invalid(f"{name} must be between 0 and {OPTIONS_LEVEL_MAX}")
        return msgspec.structs.replace(self, **known)


def _is_level(value: object) -> bool:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (is_number and value in range(OPTIONS_LEVEL_MAX + 1))


class AccountFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker has set on the account; as a fault, somebody's wish."""

    status: str = "ACTIVE"
    trading_blocked: bool = False
    transfers_blocked: bool = False
    account_blocked: bool = False
    trade_suspended_by_user: bool = False

    def changed(self, fields: Mapping[str, object]) -> AccountFlags:
        """The same with other fields.

        Raises:
            ValueError: no such field, or a value that it cannot have.
        """
        for name, value in fields.items():
            if name not in self.__struct_fields__:
                raise ValueError(f"{name}: no flag of an account; known are {', '.join(self.__struct_fields__)}")
            if name == "status" and value not in STATUSES:
                raise ValueError(f"status: expected one of {', '.join(STATUSES)}, found {value!r}")
            if name != "status" and not isinstance(value, bool):
                raise ValueError(f"{name}: expected true or false, found {value!r}")
        return msgspec.structs.replace(self, **fields)


class Permissions:
    """The configurations and flags in force, and what follows from them."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self._settings = settings
        self.configurations = Configurations(
            max_margin_multiplier=str(settings.multiplier), no_shorting=not settings.shorting_enabled
        )
        self.flags = AccountFlags()

    @property
    def multiplier(self) -> int:
        """The highest multiplier that broker and holder allow."""
        return min(self._settings.multiplier, int(self.configurations.max_margin_multiplier))

    @property
    def shorting_enabled(self) -> bool:
        return self._settings.shorting_enabled and not self.configurations.no_shorting

    @property
    def is_suspended(self) -> bool:
        """Whether the holder wants no orders."""
        return self.configurations.suspend_trade or self.flags.trade_suspended_by_user

    def check_order(self, *, is_fractional: bool) -> None:
        """Refuse every order of an account that may not trade.

        Raises:
            Refusal: Alpaca's 403.
        """
        flags = self.flags
        if flags.account_blocked or flags.trading_blocked or flags.status != "ACTIVE":
            raise forbidden("account is not authorized to trade")
        if self.is_suspended:
            raise forbidden("new orders are rejected by user request")
        if is_fractional and not self.configurations.fractional_trading:
            raise forbidden("fractional trading is disabled for this account")
