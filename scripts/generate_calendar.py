"""Writes `core/session_table.py` from exchange-calendars: weekdays on which New York is shut, days it closes at 13:00.

`python scripts/generate_calendar.py` rewrites the table; with `--check` it only says whether the file is up to date.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import exchange_calendars

TABLE = Path(__file__).resolve().parents[1] / "quant_trading_system" / "core" / "session_table.py"
YEAR_FIRST = 1998
YEAR_LAST = 2030
WEEKDAYS = 5
LINE_LENGTH = 120
CLOSED_MEANS = "Holidays, and days of mourning, storm or attack, on which the market stayed shut."
HALF_MEANS = "Sessions that close at 13:00."

HEAD = '''"""Weekdays without a session, and sessions that end at 13:00, of the New York Stock Exchange. A table only.

Generated from exchange-calendars by scripts/generate_calendar.py; a test compares the two. Days are MM-DD by year.
"""

from __future__ import annotations

'''


def read_days() -> tuple[dict[int, list[date]], dict[int, list[date]]]:
    """Closed weekdays and half days by year.

    Raises:
        ValueError: a session has an opening or closing time that the table cannot say.
    """
    # Without start and end the library's calendar ends a year after the process started.
    calendar = exchange_calendars.get_calendar("XNYS", start=f"{YEAR_FIRST}-01-01", end=f"{YEAR_LAST}-12-31")
    closed: dict[int, list[date]] = defaultdict(list)
    half: dict[int, list[date]] = defaultdict(list)
    sessions = set()
    for label, opening in calendar.opens.items():
        day = label.date()
        sessions.add(day)
        stamps = (opening, calendar.closes[label])
        hours = tuple(stamp.tz_convert("America/New_York").strftime("%H:%M") for stamp in stamps)
        if hours == ("09:30", "13:00"):
            half[day.year].append(day)
        elif hours != ("09:30", "16:00"):
            raise ValueError(f"expected 09:30 to 13:00 or 16:00 on {day}, found {hours}")
    day = date(YEAR_FIRST, 1, 1)
    while day.year <= YEAR_LAST:
        if day.weekday() < WEEKDAYS and day not in sessions:
            closed[day.year].append(day)
        day += timedelta(days=1)
    return closed, half


def write_table(name: str, what: str, days: dict[int, list[date]]) -> str:
    lines = [f"{name}: dict[int, str] = {{"]
    for year in range(YEAR_FIRST, YEAR_LAST + 1):
        text = " ".join(f"{day:%m-%d}" for day in days.get(year, ()))
        line = f'    {year}: "{text}",'
        assert len(line) <= LINE_LENGTH, f"{year} has too many days for one line"
        lines.append(line)
    lines += ["}", f'"""{what}"""', ""]
    return "\n".join(lines)


def generate() -> str:
    closed, half = read_days()
    bounds = f"YEAR_FIRST = {YEAR_FIRST}\nYEAR_LAST = {YEAR_LAST}\n\n"
    return (
        HEAD
        + bounds
        + write_table("CLOSED_WEEKDAYS", CLOSED_MEANS, closed)
        + "\n"
        + write_table("HALF_DAYS", HALF_MEANS, half)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the table is out of date")
    wanted = generate()
    if parser.parse_args().check:
        is_current = TABLE.exists() and TABLE.read_text(encoding="utf-8") == wanted
        sys.stderr.write(f"{TABLE.name} is {'up to date' if is_current else 'out of date'}\n")
        return 0 if is_current else 1
    TABLE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
