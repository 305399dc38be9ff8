"""The published vectors of both strategies hold, through the same market and the same strategy objects that trade."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quant_trading_system.core.types import Direction
from tests.unit.strategy.bars import judge, make

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "reference" / "strategy_vectors" / "at_strategies.json"
pytestmark = pytest.mark.skipif(not VECTORS.exists(), reason="the vectors are not here")


def cases():
    document = json.loads(VECTORS.read_text(encoding="utf-8")) if VECTORS.exists() else {"cases": []}
    return [pytest.param(case, document["tolerance"], id=str(index)) for index, case in enumerate(document["cases"])]


@pytest.mark.parametrize(("case", "tolerance"), cases())
def test_momentum_says_what_the_vector_says(case, tolerance):
    signal = judge(make("momentum", shorts=True), case["closes"])
    expected = case["momentum"]
    if expected["direction"] == "FLAT":
        assert signal is None
        return
    assert signal is not None
    assert signal.direction == expected["direction"]
    assert signal.strength == pytest.approx(abs(expected["strength"]), rel=tolerance)
    assert signal.confidence == pytest.approx(expected["confidence"], rel=tolerance)
    for name, key in (("fast", "fast"), ("slow", "slow"), ("rsi", "rsi_simple")):
        assert signal.inputs[name] == pytest.approx(case[key], rel=tolerance)


@pytest.mark.parametrize(("case", "tolerance"), cases())
def test_mean_reversion_says_what_the_vector_says(case, tolerance):
    signal = judge(make("mean_reversion", shorts=True), case["closes"])
    expected = case["mean_reversion"]
    if expected["direction"] == "FLAT":
        assert signal is None
        return
    assert signal is not None
    assert signal.direction == expected["direction"]
    assert signal.strength == pytest.approx(abs(expected["strength"]), rel=tolerance)
    assert signal.confidence == pytest.approx(expected["confidence"], rel=tolerance)
    assert signal.inputs["z"] == pytest.approx(expected["z"], rel=tolerance)


@pytest.mark.parametrize(("case", "tolerance"), cases())
def test_without_shorts_every_short_of_the_vectors_means_flat(case, tolerance):
    for kind in ("momentum", "mean_reversion"):
        signal = judge(make(kind), case["closes"])
        if case[kind]["direction"] == "SHORT":
            assert signal is not None
            assert (signal.direction, signal.inputs["asked_direction"]) == (Direction.EXIT, -1.0)
            assert signal.strength == pytest.approx(abs(case[kind]["strength"]), rel=tolerance)
        else:
            assert signal is None or signal.direction is Direction.LONG
