"""The equity curve as SVG paths, drawn by the server. Decides its scale and where a new day begins."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.clock import to_new_york
from quant_trading_system.core.records import EquityRecord
from quant_trading_system.dashboard import words

WIDTH = 600
HEIGHT = 180
MARGIN = 6
POINTS_MAX = 300
FLAT_RANGE = Decimal("0.0005")
"""Half of the smallest range shown, of equity: a curve that moves by cents must not look like a crash."""


class Curve(Struct, frozen=True, kw_only=True):
    """Path data in a box of `WIDTH` by `HEIGHT`, and what its axes read. Without points every path is empty."""

    line: str
    area: str
    base: str
    days: str
    high: str
    low: str
    first: str
    last: str
    tone: str


def draw(points: Sequence[EquityRecord], *, base_usd: Decimal | None, now_ns: int, now_usd: Decimal | None) -> Curve:
    """Draw equity over time.

    Args:
        points: oldest first. Nights have no points: steps on the x axis are points, not hours.
        base_usd: equity at the last close, drawn as a dashed line; None where it is not known.
        now_ns: venue time of `now_usd`, which becomes the last point.
    """
    samples: list[tuple[int, Decimal]] = [(point.venue_ns, point.equity_usd) for point in points]
    if now_usd is not None and (not samples or now_ns > samples[-1][0]):
        samples.append((now_ns, now_usd))
    if not samples:
        return Curve(line="", area="", base="", days="", high="", low="", first="", last="", tone=words.MUTED)
    if len(samples) == 1:
        samples.append(samples[0])
    amounts = [amount for _, amount in samples] + ([base_usd] if base_usd is not None else [])
    low, high = min(amounts), max(amounts)
    least = max(abs(high) * FLAT_RANGE, Decimal(1))
    if high - low < 2 * least:
        middle = (high + low) / 2
        low, high = middle - least, middle + least
    step = WIDTH / (len(samples) - 1)

    def y_of(amount: Decimal) -> float:
        return MARGIN + float((high - amount) / (high - low)) * (HEIGHT - 2 * MARGIN)

    line = "M" + " L".join(f"{index * step:.1f} {y_of(amount):.1f}" for index, (_, amount) in enumerate(samples))
    start = base_usd if base_usd is not None else samples[0][1]
    dates = [to_new_york(stamp).date() for stamp, _ in samples]
    return Curve(
        line=line,
        area=f"{line} L{WIDTH} {HEIGHT} L0 {HEIGHT} Z",
        base="" if base_usd is None else f"M0 {y_of(base_usd):.1f} H{WIDTH}",
        days=" ".join(
            f"M{index * step:.1f} 0 V{HEIGHT}" for index in range(1, len(dates)) if dates[index] != dates[index - 1]
        ),
        high=words.money(high),
        low=words.money(low),
        first=words.clock(samples[0][0], "%a %d %b %H:%M"),
        last=words.clock(samples[-1][0], "%a %d %b %H:%M"),
        tone=words.tone_of(samples[-1][1] - start) or words.GOOD,
    )
