"""Where the exchange leaves Alpaca's specifications on purpose. Decides which statuses, forms and gaps are known.

docs/exchange-conformance.md is written from these tables: python -m tests.contract.conformance_tables
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "exchange-conformance.md"
SOURCES = "sections of the protocol facts; R = recorded from the real server, with the client that recorded it"


@dataclass(frozen=True, slots=True)
class KnownStatus:
    """A status that the specification does not list for an operation and that Alpaca gives nevertheless."""

    operations: str  # a pattern of "METHOD /template"
    status: int
    when: str
    source: str


@dataclass(frozen=True, slots=True)
class Waiver:
    """A form that a schema does not allow and that Alpaca sends nevertheless."""

    operations: str  # a pattern of "METHOD /template"
    places: str  # a pattern of the value's place
    rule: str  # the schema's keyword
    found: str
    source: str
    with_key: str = ""  # only for objects that have this key


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What the exchange does not offer, and says so with Alpaca's answer to an account that may not."""

    paths: str  # a pattern of the template
    what: str


TRADING = r"/(v2|v3)/(?!stocks/).*"
ANY = r"[A-Z]+ /.*"

STATUSES: Sequence[KnownStatus] = (
    KnownStatus(ANY, 401, "the keys are wrong or missing; clock and calendar answer with a page of HTML", "1.2 (R, T)"),
    KnownStatus(ANY, 403, "the keys are right and lack the permission", "1.2 (T)"),
    KnownStatus(ANY, 429, "more requests in a minute than the plan allows", "1.4, 1.5 (T)"),
    KnownStatus(rf"[A-Z]+ {TRADING}", 400, "a body or a parameter that cannot be read", "1.5: 40010000 (R)"),
    KnownStatus(rf"[A-Z]+ {TRADING}", 422, "a parameter that can be read and is wrong", "1.5: 40010001, 42210000 (R)"),
    KnownStatus(r"(GET|PATCH|DELETE) /v2/orders/\{order_id\}", 404, "no such order", "2.1 (EX R), 2.8, 2.9"),
    KnownStatus(r"GET /v2/orders:by_client_order_id", 404, "no such order", "2.1 (EX R)"),
    KnownStatus(r"PATCH /v2/orders/\{order_id\}", 403, "the new order wants more buying power", "2.8 (RB R)"),
    KnownStatus(r"(GET|DELETE) /v2/positions/\{symbol_or_asset_id\}", 404, "no such position", "3.1 (EX R)"),
    KnownStatus(
        r"DELETE /v2/positions/\{symbol_or_asset_id\}", 403, "the shares are held by orders", "2.7, 3.3 (RR R)"
    ),
    KnownStatus(r"[A-Z]+ /v2/watchlists.*", 404, "no such watchlist", "6.3 (EX, RR R)"),
    KnownStatus(
        r"GET /v2/stocks/\{symbol\}/((trades|quotes|bars)/latest|snapshot)",
        404,
        "nothing is known of the symbol",
        "(T)",
    ),
    KnownStatus(r"GET /v2beta1/events/activities", 422, "a span that makes no sense", "8: query rules (S-B)"),
    KnownStatus(r"GET /v2/corporate_actions/announcements/\{id\}", 404, "no such announcement", "1.5: 40410000 (R)"),
)

WAIVERS: Sequence[Waiver] = (
    Waiver(
        r".*/v2/(orders|positions).*",
        r".*legs/\*/legs",
        "type",
        "`null` for the legs of a leg: the schema has an object there, where orders have a list or null",
        "2.3, 2.10 (RR R 2021-06-17, RB R 2020-02-16)",
    ),
    Waiver(
        r"GET /v2/corporate_actions/announcements.*",
        r"(\*/)?ca_type",
        "enum",
        "words in lower case, where the schema has them with capitals: alpaca-py reads these alone",
        "5.4; recorded of 2023-10 in a Java client's tests (corporate action 2642471: spinoff, dividend)",
    ),
    Waiver(
        r"DELETE /v2/positions",
        r"\*/body",
        "required",
        "an error object in place of the order where a position could not be closed",
        "3.3 (RR R 2021-06-03)",
        with_key="message",
    ),
    Waiver(
        r"GET /v2/account/activities.*",
        r"\*/date",
        "format",
        "a date alone, as the schema's own example has it",
        "6.1 (RB R 2020-05-22)",
    ),
)

EXCLUSIONS: Sequence[Exclusion] = (
    Exclusion(r"/v1/locates.*", "locates of shares that are hard to borrow"),
    Exclusion(r"/v2/options/.*", "option contracts"),
    Exclusion(r"/v2/positions/\{symbol_or_contract_id\}/(do-not-)?exercise", "exercise of options"),
    Exclusion(r"/v2/tokenization/.*", "tokenization"),
    Exclusion(r"/v2/wallets.*", "crypto wallets and transfers"),
    Exclusion(r"/v1beta1/options/.*", "market data of options"),
    Exclusion(r"/v1beta1/forex/.*", "rates of currencies"),
    Exclusion(r"/v1beta1/logos/.*", "logos"),
)


@cache
def is_status_known(operation: str, status: int) -> bool:
    """Whether a status that the specification lacks is one that Alpaca was seen to give."""
    return any(row.status == status and re.fullmatch(row.operations, operation) for row in STATUSES)


@cache
def is_excluded(template: str) -> bool:
    return any(re.fullmatch(row.paths, template) for row in EXCLUSIONS)


def page() -> str:
    """The tables as the repository's page shows them."""
    return "\n".join(
        [
            "# Where the exchange leaves Alpaca's specifications",
            "",
            "Written from `tests/contract/conformance_tables.py`; do not edit. Every answer that the contract tests",
            "get is judged by Alpaca's OpenAPI schemas, where they lie beside this repository: a status must be one",
            "that the specification has for the operation or one of the first table, a body must have the schema's",
            "form or be waived by the second. Keys beyond a schema are allowed: Alpaca adds them without notice.",
            f"Sources are {SOURCES}.",
            "",
            "## Statuses that the specifications lack",
            "",
            *_table(
                ("operations", "status", "when", "source"),
                ((r.operations, r.status, r.when, r.source) for r in STATUSES),
            ),
            "",
            "## Forms that the schemas do not allow",
            "",
            *_table(
                ("operations", "place", "rule", "found", "source"),
                ((r.operations, r.places, r.rule, r.found, r.source) for r in WAIVERS),
            ),
            "",
            "## What is not offered",
            "",
            "Refused with 403, as Alpaca refuses an account without the permission.",
            "",
            *_table(("paths", "what"), ((row.paths, row.what) for row in EXCLUSIONS)),
            "",
        ]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    written = [[_cell(value, is_pattern=head[i] in _PATTERNS) for i, value in enumerate(row)] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *written)]


_PATTERNS = frozenset({"operations", "place", "rule", "paths"})


def _cell(value: object, *, is_pattern: bool) -> str:
    text = str(value).replace("|", "\\|")
    return f"`{text}`" if is_pattern else text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
