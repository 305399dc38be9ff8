"""What leaves on the market-data streams. Decides who gets which message, when, and in which frame.

A message that nobody asked for costs one look into a dictionary and is never written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from quant_trading_system.simulator.events import MarketEvent
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.server.audience import Audience
from quant_trading_system.simulator.server.clients import Clients
from quant_trading_system.simulator.server.data_client import DataClient
from quant_trading_system.simulator.server.data_faults import DataFaults
from quant_trading_system.simulator.server.data_frames import MarketMessage
from quant_trading_system.simulator.server.delay_line import RECALLED_CHANNELS, DelayLine, Pair
from quant_trading_system.simulator.server.faults import MARKET_DATA, FaultPlan
from quant_trading_system.simulator.server.feeds import DELAY_NS, channel_of, is_pair
from quant_trading_system.simulator.server.market_wire import MarketWire
from quant_trading_system.simulator.server.socket_faults import FrameFaults, LineFaults

Addressed = tuple[MarketMessage, tuple[DataClient, ...]]


class DataPublisher:
    """Between the market and the connections.

    Args:
        clients: all connections, logged in or not.
        now_ns: venue time.
    """

    def __init__(
        self,
        clients: Clients[DataClient],
        plan: FaultPlan,
        *,
        wire: MarketWire,
        market: MarketSource,
        now_ns: Callable[[], int],
    ) -> None:
        self._clients = clients
        self._wire = wire
        self._market = market
        self._now_ns = now_ns
        self._live = Audience(lambda: (client for client in clients if client.hears and not client.feed.delay_ns))
        self._delayed = Audience(lambda: (client for client in clients if client.hears and client.feed.delay_ns))
        self._line = DelayLine(market, DELAY_NS)
        self._recalled: frozenset[Pair] = frozenset()
        self._data_faults = DataFaults(plan)
        self._frame_faults: FrameFaults[tuple[Addressed, ...]] = FrameFaults(plan, MARKET_DATA)
        self._line_faults = LineFaults(plan, MARKET_DATA, clients)

    def audience_changed(self) -> None:
        """Somebody came, went, or changed a subscription."""
        self._live.changed()
        self._delayed.changed()
        pairs = frozenset(self._delayed_pairs())
        if pairs != self._recalled:
            now_ns = self._now_ns()
            self._line.forget(self._recalled - pairs)
            self._line.recall(sorted(pairs - self._recalled), now_ns)
            self._recalled = pairs

    def publish(self, events: Sequence[MarketEvent]) -> None:
        """Send what happened to everyone who asked for it, and keep it for those who are told later."""
        if not self._live.is_empty:
            self._tell(events, self._live)
        if not self._delayed.is_empty:
            now_ns = self._now_ns()
            for event in events:
                if self._delayed.of(channel_of(event), event.symbol):
                    self._line.note(event, now_ns)

    def publish_message(self, message: MarketMessage, clients: tuple[DataClient, ...]) -> None:
        """Send one message that is no market event."""
        self._send([(message, clients)])

    def tick(self) -> None:
        """What is due without anything having happened: delayed feeds, late frames, faults of lines."""
        if not self._delayed.is_empty:
            self._tell(self._line.due(self._now_ns()), self._delayed)
        for frame in self._frame_faults.due():
            self._send(frame)
        self._line_faults.act(at_frame=False)

    def show_books(self, client: DataClient, symbols: Iterable[str]) -> None:
        """Begin a subscription to order books with the books as they stand."""
        names = self._market.symbols if "*" in symbols else sorted(symbols)
        books = (self._market.orderbook(symbol) for symbol in names if is_pair(symbol))
        parts = [self._wire.message(book).encoded(client.encoding) for book in books if book is not None]
        if parts:
            client.send(parts)

    def _tell(self, events: Sequence[MarketEvent], audience: Audience[DataClient]) -> None:
        message = self._wire.message
        if self._frame_faults.is_idle:
            self._send(
                [
                    (message(event), clients)
                    for event in events
                    if (clients := audience.of(channel_of(event), event.symbol))
                ]
            )
            return
        wanted = [event for event in events if audience.of(channel_of(event), event.symbol)]
        if not wanted or self._line_faults.act(at_frame=True):
            return
        told = [(message(event), event) for event in self._data_faults.spoil(wanted)]
        addressed = [(told_of, audience.of(told_of.channel, event.symbol)) for told_of, event in told]
        for channel, frame in groupby(addressed, key=_channel):
            for leaving in self._frame_faults.frames_for(tuple(frame), event=channel):
                self._send(leaving)

    def _send(self, batch: Sequence[Addressed]) -> None:
        """Join what each client gets of a batch into its frames."""
        outgoing: dict[DataClient, list[bytes]] = {}
        for message, clients in batch:
            for client in clients:
                parts = outgoing.get(client)
                if parts is None:
                    parts = outgoing[client] = []
                parts.append(message.encoded(client.encoding))
        for client, parts in outgoing.items():
            if not client.is_starved:
                client.send(parts)

    def _delayed_pairs(self) -> Iterator[Pair]:
        if self._delayed.is_empty:
            return
        for channel in RECALLED_CHANNELS:
            for symbol in self._market.symbols:
                if self._delayed.of(channel, symbol):
                    yield channel, symbol


def _channel(addressed: Addressed) -> str:
    return addressed[0].channel
