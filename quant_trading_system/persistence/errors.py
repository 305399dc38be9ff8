"""How a store says no: it cannot be reached, or it does not accept this writer. Decides nothing."""

from __future__ import annotations

from quant_trading_system.core.errors import Bug, ExitCode, OperatorError
from quant_trading_system.core.types import Store


class StoreUnavailable(OperatorError):
    """A store cannot be read or written now. Nothing may be concluded from it but that.

    Args:
        is_passing: the server rolled the transaction back for a reason of this moment; the same may succeed at once.
    """

    def __init__(
        self,
        store: Store,
        detail: str,
        *,
        fix: str = "",
        exit_code: ExitCode = ExitCode.TEMPORARY,
        is_passing: bool = False,
    ) -> None:
        super().__init__(f"{store.value}: {detail}", fix=fix, exit_code=exit_code)
        self.store = store
        self.detail = detail
        self.is_passing = is_passing


class IntentNotStored(Exception):
    """The intent is not known to be durable, so not one byte of its order may leave."""


class StaleEpoch(IntentNotStored):
    """The database refused the write because another daemon took the lease since (faults K1, K2)."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the database refused epoch {epoch}: another daemon took the lease since")
        self.epoch = epoch


class IntentConflict(Bug):
    """A client order id is stored already, with other bytes: an id was given out twice."""


class TapeCorrupt(Exception):
    """A tape is damaged before its end, so that what follows cannot be trusted."""
