"""The one place where an order's status changes: index, journal and event follow. Decides nothing about when."""

from __future__ import annotations

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.recorder import Recorder


class OrderStates:
    """Moves orders from one status to the next, and tells of it."""

    def __init__(self, *, index: OrderIndex, recorder: Recorder, chance: Chance) -> None:
        self._index = index
        self._recorder = recorder
        self._chance = chance

    def become(self, order: SimOrder, status: str, now_ns: Nanos) -> None:
        """Change the status without a word to the client."""
        assert order.is_open, f"order {order.id}: final in {order.status}, cannot become {status}"
        order.status = status
        order.updated_at_ns = now_ns
        self._index.refresh(order)
        self._recorder.changed(order)

    def become_new(self, order: SimOrder, now_ns: Nanos) -> None:
        """The venue has it."""
        order.new_at_ns = now_ns
        self.become(order, "new", now_ns)
        self._recorder.emit("new", order, now_ns, execution_id=self._chance.uuid("new", order.sequence))

    def end(self, order: SimOrder, status: str, now_ns: Nanos, *, is_told: bool = True) -> None:
        """Bring an order to a final status other than `filled`, and stamp it."""
        match status:
            case "canceled":
                order.canceled_at_ns = now_ns
            case "expired":
                order.expired_at_ns = now_ns
            case "replaced":
                order.replaced_at_ns = now_ns
            case _:
                assert status == "rejected", f"order {order.id}: {status} is no end"
                order.failed_at_ns = now_ns
        self.become(order, status, now_ns)
        if is_told:
            self._recorder.emit(status, order, now_ns, execution_id=self._chance.uuid(status, order.sequence))
