"""What the feed says now: prices and their ages, bars built from prints, indicators. Decides which data to believe.

Ages are measured in monotonic time, intervals in venue time. The two methods that every message passes, `on_quote` and
`on_trade`, do one lookup and a few comparisons for a message like the one before; everything unusual leaves that path.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from quant_trading_system.core.events import BarSeen, HistorySeen, QuoteSeen, StatusSeen, TradeSeen
from quant_trading_system.core.types import NANOS_PER_SECOND, MonoNanos, Nanos, Symbol
from quant_trading_system.core.values import Bar
from quant_trading_system.core.views import PriceView
from quant_trading_system.market.indicators import IndicatorSet
from quant_trading_system.market.quality import (
    AMOUNT_MAX,
    HALT_CODES,
    PRICELESS_CONDITIONS,
    RESUME_CODES,
    VOLUMELESS_CONDITIONS,
    JumpLimit,
    is_price,
    is_quote_side,
    is_size,
)
from quant_trading_system.market.symbol import SymbolState

FEED_BAR_SECONDS = 60
LATE_PRINT_NS = NANOS_PER_SECOND
"""Venue time a closed interval still waits for its prints: they arrive within milliseconds, reports of them later."""
MISSED_RESUME_NS = 60 * NANOS_PER_SECOND
"""A print this long after a halt, with a gap of the feed between, means that the gap swallowed the resumption."""


class Market:
    """Market state of the listed symbols; messages of others are counted and otherwise ignored."""

    def __init__(
        self,
        *,
        symbols: Iterable[Symbol],
        reference_symbol: Symbol | None,
        indicators: Iterable[str],
        bar_seconds: int = 60,
        history_bars: int = 128,
        outlier_fraction: float = 0.30,
    ) -> None:
        if bar_seconds < 1:
            raise ValueError(f"expected bars of at least 1 s, found {bar_seconds}")
        listed = [*symbols] if reference_symbol is None else [*symbols, reference_symbol]
        self.symbols: tuple[Symbol, ...] = tuple(dict.fromkeys(listed))
        self.late_prints = 0
        self.rejected_prints = 0
        self.rejected_quotes = 0
        self.rejected_bars = 0
        self.incomplete_bars = 0
        self.unlisted_messages = 0
        self._bar_seconds = bar_seconds
        self._bar_ns = bar_seconds * NANOS_PER_SECOND
        self._jump = JumpLimit(outlier_fraction)
        self._low, self._high = self._jump.low, self._jump.high
        self._feed_mono_ns: MonoNanos | None = None
        self._is_gap_open = False
        self._complete_from_ns = 0  # intervals that start earlier miss prints
        names = tuple(dict.fromkeys(indicators))
        self._states: dict[Symbol, SymbolState] = {}
        for symbol in self.symbols:
            each = IndicatorSet(names, bar_seconds=bar_seconds)
            self._states[symbol] = SymbolState(symbol, each, history_bars=max(history_bars, each.bars_needed))

    # messages of the feed

    def on_quote(self, event: QuoteSeen) -> None:
        """Take in a quote. A jump beyond the outlier fraction waits for a second message (fault D3)."""
        self._feed_mono_ns = event.mono_ns
        state = self._states.get(event.symbol)
        if state is None:
            self.unlisted_messages += 1
            return
        bid = event.bid_price
        both = bid + event.ask_price
        # NaN fails every comparison, and the last sum is NaN until a first quote was believed.
        if 0.0 < bid <= event.ask_price and self._low < both / state.quote_sum < self._high:
            state.quote_sum = both
            state.quote = event
            state.suspect_quote = None
        else:
            self._judge_quote(state, event)

    def on_trade(self, event: TradeSeen) -> Bar | None:
        """Take in a print. Returns the bar it closed, being the first of a newer interval."""
        self._feed_mono_ns = event.mono_ns
        state = self._states.get(event.symbol)
        if state is None:
            self.unlisted_messages += 1
            return None
        price = event.price
        size = event.size
        believed = self._low < price / state.anchor < self._high and 0.0 < size < AMOUNT_MAX
        if not believed and not self._judge_print(state, price, size):
            self.rejected_prints += 1
            return None
        if self._is_gap_open:
            self._end_gap(event.venue_ns)
        venue_at = event.venue_at
        if venue_at < state.start_at:
            self.late_prints += 1
            return None
        closed = None if venue_at < state.end_at else self._begin_interval(state, event.venue_ns)
        state.anchor = price
        state.trade_mono_ns = event.mono_ns
        if event.conditions:
            self._add_conditional(state, event)
        else:
            state.last_trade = price
            state.add_price(price)
            state.volume += size
            state.notional += price * size
        state.trades += 1
        if state.halted_ns is not None:
            self._notice_missed_resume(state, event.venue_ns)
        return closed

    def on_bar(self, event: BarSeen) -> Bar | None:
        """Take in the feed's own bar: it closes ours, or takes its place where ours misses prints.

        Returns the bar it closed; never the same interval twice. Bars of another length than the feed's are built
        from prints alone.
        """
        self._feed_mono_ns = event.mono_ns
        state = self._states.get(event.symbol)
        if state is None:
            self.unlisted_messages += 1
            return None
        start_ns = event.venue_ns
        if self._bar_seconds != FEED_BAR_SECONDS or start_ns <= state.closed_ns:
            return None
        if state.is_forming and state.start_ns <= start_ns:
            ours = self._close(state)  # an older one still open goes to the indicators alone: the newer one decides
            if ours is not None and ours.start_ns == start_ns:
                return ours
        if not _is_sane(event):
            self.rejected_bars += 1
            return None
        bar = Bar(
            event.symbol,
            start_ns,
            event.open,
            event.high,
            event.low,
            event.close,
            event.volume,
            event.trade_count,
        )
        state.seen_mono_ns = event.mono_ns
        state.add(bar, (event.vwap if is_price(event.vwap) else event.close) * event.volume)
        if not state.is_forming:
            state.skip_to(max(state.end_ns, start_ns + self._bar_ns))
        return bar

    def on_status(self, event: StatusSeen) -> None:
        """Halt or resume the symbol. After a resumption it has no quote until a fresh one arrives (fault D5)."""
        self._feed_mono_ns = event.mono_ns
        state = self._states.get(event.symbol)
        if state is None:
            self.unlisted_messages += 1
        elif event.status_code in HALT_CODES:
            state.halted_ns = event.venue_ns
        elif event.status_code in RESUME_CODES and state.halted_ns is not None:
            state.halted_ns = None
            state.quote = None

    def on_history(self, event: HistorySeen) -> None:
        """Take in closed bars from history. What was seen live already stays as it was seen."""
        state = self._states.get(event.symbol)
        if state is None:
            self.unlisted_messages += 1
            return
        known = {bar.start_ns for bar in state.bars}
        fresh = [bar for bar in event.bars if bar.start_ns not in known and _is_sane(bar)]
        if not fresh:
            return
        state.rebuild(sorted([*fresh, *state.bars], key=_start_ns))
        if state.is_forming and state.start_ns <= state.closed_ns:
            state.skip_to(state.end_ns)
        elif not state.is_forming:
            state.skip_to(max(state.end_ns, state.closed_ns + self._bar_ns))

    def on_time(self, venue_ns: int, mono_ns: int) -> list[Bar]:
        """Close the intervals that ended at least a second ago in venue time, in the order of the symbols."""
        if self._is_gap_open:
            self._end_gap(venue_ns)
        due_ns = venue_ns - LATE_PRINT_NS
        closed = [self._close(state) for state in self._states.values() if state.is_forming and state.end_ns <= due_ns]
        return [bar for bar in closed if bar is not None]

    def on_gap(self) -> None:
        """The feed was or is interrupted: what is being formed misses prints, and no quote is known to stand."""
        self._is_gap_open = True
        for state in self._states.values():
            state.quote = None
            state.suspect_quote = None

    # what others read

    def price(self, symbol: Symbol, mono_ns: int) -> PriceView | None:
        """Prices and ages of a symbol; None where it is not listed."""
        state = self._states.get(symbol)
        if state is None:
            return None
        quote = state.quote
        return PriceView(
            symbol=symbol,
            bid=None if quote is None else _known(quote.bid_price),
            ask=None if quote is None else _known(quote.ask_price),
            bid_size=0.0 if quote is None else quote.bid_size,
            ask_size=0.0 if quote is None else quote.ask_size,
            quote_age_s=None if quote is None else _age_s(quote.mono_ns, mono_ns),
            last_trade=_known(state.last_trade),
            trade_age_s=_age_s(state.trade_mono_ns, mono_ns),
            feed_age_s=_age_s(self._feed_mono_ns, mono_ns),
            last_close=_known(state.reference_close),
            vwap_30min=_known(state.vwap),
            is_halted=state.halted_ns is not None,
        )

    def mark(self, symbol: Symbol) -> float | None:
        """Price to value a position at, USD: mid of a sane quote, else the last print, else the last close.

        While no quote stands, after a gap or a jump that waits for its confirmation, the last mid believed.
        """
        state = self._states.get(symbol)
        if state is None:
            return None
        if state.quote_sum > 0.0 and (state.quote is None or state.has_mid):
            return state.quote_sum / 2.0
        return _known(state.last_trade) or _known(state.reference_close)

    def values(self, symbol: Symbol) -> Mapping[str, float]:
        """Indicator values after the last closed bar; a name is absent while it has none."""
        return self._states[symbol].indicators.values

    def is_warm(self, symbol: Symbol) -> bool:
        """Whether every indicator has had enough bars."""
        state = self._states.get(symbol)
        return state is not None and state.indicators.is_warm

    def bars(self, symbol: Symbol) -> Sequence[Bar]:
        """Closed bars, oldest first."""
        return self._states[symbol].bars

    def feed_age_s(self, mono_ns: int) -> float | None:
        """Seconds since the feed's last message of any symbol; None while there was none."""
        return _age_s(self._feed_mono_ns, mono_ns)

    def symbol_age_s(self, symbol: Symbol, mono_ns: int) -> float | None:
        """Seconds since the last message of the symbol that was believed; None while there was none."""
        state = self._states.get(symbol)
        if state is None:
            return None
        quote_mono_ns = None if state.quote is None else state.quote.mono_ns
        seen = [each for each in (quote_mono_ns, state.trade_mono_ns, state.seen_mono_ns) if each is not None]
        return _age_s(max(seen), mono_ns) if seen else None

    def set_last_close(self, symbol: Symbol, price: float) -> None:
        """Tell the close of the session before, USD.

        Raises:
            ValueError: the price is not a finite number above zero.
        """
        if not is_price(price):
            raise ValueError(f"expected a last close of {symbol} above zero, found {price!r}")
        self._states[symbol].last_close = price

    def on_split(self, symbol: Symbol, ratio: float) -> None:
        """Each share of a symbol became `ratio` shares: what is known of it from before is of other shares.

        Raises:
            ValueError: the ratio is not a finite number above zero.
        """
        if not is_price(ratio):
            raise ValueError(f"expected a ratio above zero for {symbol}, found {ratio!r}")
        state = self._states.get(symbol)
        if state is not None:
            state.split(ratio)

    # out of the common path

    def _judge_quote(self, state: SymbolState, event: QuoteSeen) -> None:
        bid, ask = event.bid_price, event.ask_price
        if not (is_quote_side(bid) and is_quote_side(ask)):
            self.rejected_quotes += 1
            return
        if bid == 0.0 or ask == 0.0 or bid > ask:
            state.quote = event  # legal, and no price: what stood before stands no longer
            return
        mid = (bid + ask) / 2.0
        suspect = state.suspect_quote
        is_confirmed = suspect is not None and self._jump.allows(mid, _mid(suspect))
        if is_confirmed or self._is_near_what_is_known(state, mid):
            self._believe_quote(state, event)
        else:
            self.rejected_quotes += 1
            state.suspect_quote = event
            state.quote = None

    def _believe_quote(self, state: SymbolState, quote: QuoteSeen) -> None:
        state.quote = quote
        state.quote_sum = quote.bid_price + quote.ask_price
        state.suspect_quote = None

    def _judge_print(self, state: SymbolState, price: float, size: float) -> bool:
        if not (is_price(price) and is_size(size)):
            return False
        suspect = state.suspect_quote
        if suspect is not None and self._jump.allows(price, _mid(suspect)):
            self._believe_quote(state, suspect)  # two sources agree on the jump
            return True
        if self._jump.allows(price, state.suspect_price) or self._is_near_what_is_known(state, price):
            state.suspect_price = math.nan
            return True
        state.suspect_price = price
        return False

    def _is_near_what_is_known(self, state: SymbolState, price: float) -> bool:
        """Whether a price fits the last mid or print, or else the last close; the first price of all fits."""
        live = [each for each in (state.quote_sum / 2.0, state.anchor) if each > 0.0]
        known = live or [each for each in (state.reference_close,) if each > 0.0]
        return not known or any(self._jump.allows(price, each) for each in known)

    def _add_conditional(self, state: SymbolState, event: TradeSeen) -> None:
        if PRICELESS_CONDITIONS.isdisjoint(event.conditions):
            state.last_trade = event.price
            state.add_price(event.price)
        if VOLUMELESS_CONDITIONS.isdisjoint(event.conditions):
            state.volume += event.size
            state.notional += event.price * event.size

    def _begin_interval(self, state: SymbolState, venue_ns: int) -> Bar | None:
        closed = self._close(state) if state.is_forming else None
        state.begin(venue_ns // self._bar_ns * self._bar_ns, self._bar_ns)
        return closed

    def _close(self, state: SymbolState) -> Bar | None:
        """End the forming interval. Returns its bar, or None where it had no price or misses prints."""
        bar = state.formed()
        is_complete = state.start_ns >= self._complete_from_ns
        state.skip_to(state.end_ns)
        if bar is None:
            return None
        if not is_complete:
            self.incomplete_bars += 1  # the feed's own bar takes its place, if it comes
            return None
        state.add(bar, state.notional)
        return bar

    def _end_gap(self, venue_ns: int) -> None:
        self._is_gap_open = False
        self._complete_from_ns = max(self._complete_from_ns, venue_ns)

    def _notice_missed_resume(self, state: SymbolState, venue_ns: int) -> None:
        halted_ns = state.halted_ns
        assert halted_ns is not None, "asked of halted symbols alone"
        if self._complete_from_ns > halted_ns and venue_ns - halted_ns > MISSED_RESUME_NS:
            state.halted_ns = None


def _start_ns(bar: Bar) -> Nanos:
    return bar.start_ns


def _mid(quote: QuoteSeen) -> float:
    return (quote.bid_price + quote.ask_price) / 2.0


def _known(price: float) -> float | None:
    return price if price > 0.0 else None


def _age_s(since_mono_ns: int | None, mono_ns: int) -> float | None:
    return None if since_mono_ns is None else max(0.0, (mono_ns - since_mono_ns) / NANOS_PER_SECOND)


def _is_sane(bar: BarSeen | Bar) -> bool:
    if not (all(map(is_price, (bar.open, bar.high, bar.low, bar.close))) and is_size(bar.volume)):
        return False
    return bar.low <= min(bar.open, bar.close) and max(bar.open, bar.close) <= bar.high
