"""History is read in pieces that join to the whole, under a company's names and with what was done to its shares."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.corporate_actions import AdjustmentFactors, CorporateAction
from quant_trading_system.simulator.events import SimBar
from quant_trading_system.simulator.instants import NEW_YORK, new_york_ns
from quant_trading_system.simulator.server.actions import effective_actions
from quant_trading_system.simulator.server.bar_history import bars_between
from quant_trading_system.simulator.server.names import END_NS, Name, names_of
from quant_trading_system.simulator.server.ranges import backward, backward_ticks, forward
from quant_trading_system.simulator.server.stock_history import adjusting
from quant_trading_system.simulator.server.timeframes import midnight_before, parse_timeframe
from tests.support.scripted_market import ScriptedMarket

MINUTE_NS = 60_000_000_000
DAY_NS = 24 * 60 * MINUTE_NS
BEGIN_NS = new_york_ns(date(2023, 10, 30))  # the week in which clocks change


class Stretch:
    """Rows at some stamps, and how many were read."""

    def __init__(self, stamps: list[int]) -> None:
        self._stamps = sorted(stamps)
        self.read_count = 0

    def read(self, first_ns: int, last_ns: int) -> list[int]:
        return list(self.read_lazily(first_ns, last_ns))

    def read_lazily(self, first_ns: int, last_ns: int) -> Iterator[int]:
        for place in range(bisect_left(self._stamps, first_ns), bisect_right(self._stamps, last_ns)):
            self.read_count += 1
            yield self._stamps[place]


def day_of(stamp_ns: int) -> int:
    return midnight_before(stamp_ns, NEW_YORK)


stamps = st.lists(st.integers(BEGIN_NS, BEGIN_NS + 20 * DAY_NS), max_size=40)


def rows_of(found: Iterable[int | None]) -> list[int]:
    """What was read, without the pauses."""
    return [row for row in found if row is not None]


@given(stamps, st.integers(BEGIN_NS, BEGIN_NS + 10 * DAY_NS), st.integers(0, 12 * DAY_NS))
def test_pieces_joined_are_the_range_in_either_direction(found, start_ns, length_ns):
    stretch, end_ns = Stretch(found), start_ns + length_ns
    whole = stretch.read(start_ns, end_ns)
    for piece_ns in (MINUTE_NS, 8 * DAY_NS):
        assert rows_of(forward(stretch.read, start_ns, end_ns, piece_ns=piece_ns, floor=day_of)) == whole
        assert rows_of(backward(stretch.read, start_ns, end_ns, piece_ns=piece_ns, floor=day_of)) == whole[::-1]
    assert rows_of(backward_ticks(stretch.read, start_ns, end_ns)) == whole[::-1]


@pytest.mark.parametrize("gap_ns", [0, 17 * 60 * MINUTE_NS, 40 * DAY_NS])
def test_the_last_row_of_a_year_costs_the_reading_of_a_few_also_across_a_night(gap_ns):
    stretch = Stretch([BEGIN_NS + number * MINUTE_NS // 10 for number in range(1_000_000)])
    last_ns = BEGIN_NS + 999_999 * MINUTE_NS // 10
    assert next(filter(None, backward_ticks(stretch.read_lazily, BEGIN_NS, last_ns + gap_ns))) == last_ns
    assert next(filter(None, forward(stretch.read_lazily, BEGIN_NS, last_ns, piece_ns=MINUTE_NS, floor=day_of)))
    assert stretch.read_count < 2_000


def test_decades_without_a_row_are_crossed_in_few_steps():
    asked: list[int] = []

    def read(first_ns: int, _last_ns: int) -> list[int]:
        asked.append(first_ns)
        return []

    assert not rows_of(backward_ticks(read, 0, BEGIN_NS))
    assert not rows_of(backward(read, 0, BEGIN_NS, piece_ns=MINUTE_NS, floor=day_of))
    assert not rows_of(forward(read, 0, BEGIN_NS, piece_ns=MINUTE_NS, floor=day_of))
    assert len(asked) < 1_500


def minute_bars(count: int) -> list[SimBar]:
    return [
        SimBar("AAPL", 1.0, 2.0 + place, 0.5, 1.5, 10.0, BEGIN_NS + place * 7 * MINUTE_NS, 3, 1.25)
        for place in range(count)
    ]


@pytest.mark.parametrize("timeframe", ["1Min", "5Min", "45Min", "3Hour", "23Hour"])
def test_bars_of_minutes_are_the_same_from_either_end(timeframe):
    market = ScriptedMarket(("AAPL",), start_ns=BEGIN_NS)
    market.remember("minute", *minute_bars(1_500))
    frame, source = parse_timeframe(timeframe), partial(market.bars, "AAPL")
    start_ns, end_ns = BEGIN_NS + 11 * MINUTE_NS, BEGIN_NS + 7 * DAY_NS
    upward = [bar for bar in bars_between(source, frame, start_ns, end_ns, zone=NEW_YORK) if bar]
    from_end = bars_between(source, frame, start_ns, end_ns, zone=NEW_YORK, is_descending=True)
    downward = [bar for bar in from_end if bar]
    assert upward
    assert downward == upward[::-1]
    assert all(start_ns <= bar.ts_ns <= end_ns for bar in upward)


# --- names


def renaming(old: str, new: str, day: date) -> CorporateAction:
    return CorporateAction(
        id=f"{old}-{new}", kind="name_change", symbol=old, new_symbol=new, ex_date=day, process_date=day
    )


RENAMED = date(2022, 6, 9)
RENAMED_NS = new_york_ns(RENAMED)
CHANGES = [renaming("FB", "META", RENAMED)]
WHOLE = (Name("FB", 0, RENAMED_NS - 1), Name("META", RENAMED_NS, END_NS))


@pytest.mark.parametrize(
    ("symbol", "asof", "names"),
    [
        ("META", RENAMED, WHOLE),
        ("META", date(2024, 1, 2), WHOLE),
        ("META", RENAMED - timedelta(days=1), (Name("META"),)),  # nobody was called that yet
        ("FB", RENAMED - timedelta(days=1), WHOLE),
        ("FB", RENAMED, (Name("FB"),)),
        ("AAPL", RENAMED, (Name("AAPL"),)),
    ],
)
def test_the_names_of_a_company_are_those_of_the_one_that_was_called_so(symbol, asof, names):
    assert names_of(symbol, CHANGES, asof) == names


def test_a_ticker_that_is_given_away_belongs_to_its_holder_of_the_day():
    first, second = date(2020, 1, 2), date(2021, 1, 4)
    changes = [renaming("X", "Y", first), renaming("W", "X", second)]
    at = {day: new_york_ns(day) for day in (first, second)}
    assert names_of("X", changes, date(2019, 1, 2)) == (
        Name("X", 0, at[first] - 1), Name("Y", at[first], END_NS),
    )  # fmt: skip
    assert names_of("X", changes, date(2022, 1, 3)) == (
        Name("W", 0, at[second] - 1), Name("X", at[second], END_NS),
    )  # fmt: skip


def test_who_asks_by_a_name_that_is_gone_gets_what_was_traded_under_it_and_no_more():
    changes = [renaming("THEFACEBOOK", "FB", date(2005, 9, 20)), *CHANGES]
    assert names_of("FB", changes, date(2024, 1, 2)) == (Name("FB"),)
    assert [name.symbol for name in names_of("META", changes, date(2024, 1, 2))] == ["THEFACEBOOK", "FB", "META"]


def test_names_in_a_circle_end():
    changes = [renaming("A", "B", date(2020, 1, 2)), renaming("B", "A", date(2021, 1, 4))]
    assert [name.symbol for name in names_of("A", changes, date(2022, 1, 3))] == ["A", "B", "A"]


# --- adjustments


def test_an_action_has_taken_effect_from_its_ex_date_on_and_not_when_it_is_booked():
    market = ScriptedMarket(("X",), start_ns=Nanos(BEGIN_NS))
    days = {"past": (3, 4), "booked_late": (4, 20), "today": (10, 10), "booked_early": (11, 9)}
    market.announce(
        *(
            CorporateAction(
                id=name, kind="cash_dividend", symbol="X", cash=Decimal(1),
                ex_date=date(2024, 6, ex), process_date=date(2024, 6, booked),
            )
            for name, (ex, booked) in days.items()
        )
    )  # fmt: skip
    found = effective_actions(market, date(2024, 6, 4), date(2024, 6, 10))
    assert [action.id for action in found] == ["booked_late", "today"]


def test_a_split_divides_prices_and_multiplies_volume_of_the_bars_before_it():
    ex_date = date(2024, 6, 10)
    split = CorporateAction(
        id="1", kind="forward_split", symbol="NVDA", ex_date=ex_date, process_date=ex_date,
        old_rate=Decimal(1), new_rate=Decimal(10),
    )  # fmt: skip
    change = adjusting(AdjustmentFactors([split], kinds=["forward_split"], close_before=lambda day: None))
    bar = SimBar("NVDA", 1140.5, 1150.25, 1100.0, 1140.525, 33.0, new_york_ns(ex_date) - DAY_NS, 5, 1139.1234567)
    adjusted = change(bar)
    assert (adjusted.open, adjusted.high, adjusted.low, adjusted.close) == (114.05, 115.03, 110.0, 114.05)
    assert (adjusted.volume, adjusted.vwap, adjusted.trade_count) == (330.0, 113.912346, 5)
    after = SimBar("NVDA", 1.0, 1.0, 1.0, 1.0, 1.0, new_york_ns(ex_date), 1, 1.0)
    assert change(after) is after


def test_a_price_below_a_dollar_keeps_four_decimals():
    ex_date = date(2024, 6, 10)
    dividend = CorporateAction(
        id="1", kind="cash_dividend", symbol="X", ex_date=ex_date, process_date=ex_date, cash=Decimal("0.01")
    )
    change = adjusting(AdjustmentFactors([dividend], kinds=["cash_dividend"], close_before=lambda day: 0.75))
    bar = SimBar("X", 0.75, 0.75, 0.75, 0.75, 10.0, new_york_ns(ex_date) - DAY_NS, 1, 0.75)
    assert change(bar).close == 0.74
    assert change(bar).volume == 10.0
