"""When strategies speak, when they keep silent, and what they refuse to be."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quant_trading_system.core.types import Direction, StrategyId, Symbol
from quant_trading_system.strategy.base import Cooldown, make_signal
from quant_trading_system.strategy.catalog import KINDS, PARAMETERS, build
from tests.unit.strategy.bars import IBM, bar_of, judge, make, play

TEN = Decimal(10)
RISING = {"sma_10": 101.0, "sma_30": 100.0, "rsi_cutler_14": 55.0}
FALLING = {"sma_10": 99.0, "sma_30": 100.0, "rsi_cutler_14": 45.0}


def ask(strategy, values, *, index: int = 0, symbol: Symbol = IBM, holding: Decimal = Decimal(0)):
    return strategy.on_bar(bar_of(index, 100.0, symbol=symbol), values, holding)


def z(value: float) -> dict[str, float]:
    return {"zscore_20": value, "bb_mean_20": 100.0, "bb_std_20": 1.0}


def test_after_a_signal_a_symbol_is_silent_until_five_more_bars_have_arrived():
    momentum = make("momentum")
    spoken = [ask(momentum, RISING, index=index) is not None for index in range(12)]
    assert [index for index, is_signal in enumerate(spoken) if is_signal] == [0, 5, 10]


def test_silence_is_per_symbol():
    momentum = make("momentum")
    assert ask(momentum, RISING) is not None
    assert ask(momentum, RISING, symbol=Symbol("AIG")) is not None
    assert ask(momentum, RISING, index=1) is None


def test_two_strategies_told_the_same_say_the_same():
    closes = [100.0 + 0.4 * ((index * 37) % 17) - 0.02 * index for index in range(90)]
    for kind in KINDS:
        first, second = (play(make(kind, shorts=True), closes, holding=TEN) for _ in range(2))
        assert first == second
        assert any(first)


def test_a_strategy_says_nothing_until_its_indicators_have_values():
    for kind in KINDS:
        strategy = make(kind)
        closes = [100.0 + 0.5 * index for index in range(strategy.bars_needed - 1)]
        assert not any(play(strategy, closes, holding=TEN))
    assert make("momentum").bars_needed == 30
    assert make("mean_reversion").bars_needed == 20


def test_equal_means_say_nothing():
    assert ask(make("momentum", strength_min=0), {**RISING, "sma_10": 100.0}) is None


def test_means_that_hardly_differ_do_not_trade():
    close_by = {**RISING, "sma_10": 100.0 + 0.009}
    assert ask(make("momentum"), close_by) is None
    assert ask(make("momentum", strength_min=0), close_by) is not None


def test_a_weak_momentum_signal_does_not_begin_a_silence():
    momentum = make("momentum")
    assert ask(momentum, {**RISING, "sma_10": 100.001}) is None
    assert ask(momentum, RISING, index=1) is not None


def test_a_falling_market_means_flat_while_shorts_are_off_and_short_where_they_are_on():
    flat = ask(make("momentum"), FALLING)
    short = ask(make("momentum", shorts=True), FALLING)
    assert flat is not None
    assert short is not None
    assert (flat.direction, flat.inputs["asked_direction"]) == (Direction.EXIT, -1.0)
    assert flat.reason.startswith("SHORT, taken as flat")
    assert short.direction is Direction.SHORT
    assert "asked_direction" not in short.inputs


@pytest.mark.parametrize("value", [-0.49, 0.0, 0.49])
def test_a_holding_is_closed_when_the_price_is_back_at_its_mean(value):
    signal = ask(make("mean_reversion"), z(value), holding=TEN)
    assert signal is not None
    assert signal.direction is Direction.EXIT


@pytest.mark.parametrize("value", [-2.0, -0.5, 0.5, 2.0])
def test_at_the_thresholds_themselves_nothing_happens(value):
    assert ask(make("mean_reversion"), z(value), holding=TEN) is None


def test_without_a_holding_a_price_at_its_mean_does_not_hide_the_entry_that_follows():
    reversion = make("mean_reversion")
    assert ask(reversion, z(0.1)) is None
    entry = ask(reversion, z(-2.5), index=1)
    assert entry is not None
    assert entry.direction is Direction.LONG


def test_a_flat_window_says_nothing():
    assert judge(make("mean_reversion"), [100.0] * 25, holding=TEN) is None


def test_a_signal_keeps_every_number_it_was_made_of():
    signal = ask(make("momentum"), RISING, index=7)
    assert signal is not None
    assert signal.inputs == {
        "fast": 101.0,
        "slow": 100.0,
        "rsi": 55.0,
        "distance": pytest.approx(0.01),
        "strength": pytest.approx(0.1),
        "confidence": 0.6,
        "close": 100.0,
    }
    assert (signal.bar_start_ns, signal.close, signal.strategy) == (7 * 60 * 10**9, 100.0, "momentum")


def test_a_signal_below_the_confidence_asked_of_all_is_not_given():
    def signal_of(confidence: float):
        return make_signal(
            bar_of(0, 100.0),
            strategy=StrategyId("s"),
            direction=Direction.LONG,
            strength=1.0,
            confidence=confidence,
            reason="",
            inputs={},
            is_short_allowed=False,
        )

    assert signal_of(0.59) is None
    assert signal_of(0.6) is not None


def test_a_cooldown_of_zero_never_silences():
    cooldown = Cooldown(0)
    cooldown.begin(IBM)
    assert not cooldown.is_silent(IBM)
    assert cooldown.left == {}


def test_parameters_are_shown_as_text():
    assert dict(make("mean_reversion", entry=2.25).parameters) == {
        "window": "20",
        "entry": "2.25",
        "exit": "0.5",
        "cooldown_bars": "5",
    }


@pytest.mark.parametrize(
    ("kind", "parameters", "named"),
    [
        ("momentun", {}, "unknown kind 'momentun'; did you mean 'momentum'"),
        ("astrology", {}, "there are momentum, mean_reversion"),
        ("momentum", {"fasst": 10}, "unknown parameter 'fasst'; did you mean 'fast'"),
        ("momentum", {"entry": 10}, "unknown parameter 'entry'"),
        ("momentum", {"fast": 30, "slow": 30}, "fast: expected fewer bars than slow, 30"),
        ("momentum", {"fast": 1}, "fast: expected a whole number from 2 to 500, found 1"),
        ("momentum", {"fast": 10.5}, "fast: expected a whole number"),
        ("momentum", {"fast": "10"}, "fast: expected a whole number"),
        ("momentum", {"fast": True}, "fast: expected a whole number"),
        ("momentum", {"fast": None}, "fast: expected a whole number"),
        ("momentum", {"oversold": 0.5}, "oversold: expected a number from 1 to 50"),
        ("momentum", {"strength_min": -0.1}, "strength_min"),
        ("mean_reversion", {"entry": float("nan")}, "entry: expected a number"),
        ("mean_reversion", {"entry": float("inf")}, "entry: expected a number"),
        ("mean_reversion", {"entry": 1.0, "exit": 1.0}, "exit: expected less than entry, 1"),
        ("mean_reversion", {"window": 10**9}, "window"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(kind, parameters, named):
    with pytest.raises(ValueError, match=named.replace("(", r"\(")) as caught:
        build(kind, id=StrategyId("mine"), parameters=parameters, is_short_allowed=False)
    assert str(caught.value).startswith("strategy mine: ")


def test_every_kind_and_parameter_can_be_described():
    assert set(PARAMETERS) == set(KINDS)
    for known in PARAMETERS.values():
        assert all(each.low <= each.default <= each.high and each.meaning for each in known.values())
