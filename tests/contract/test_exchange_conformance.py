"""The judge of answers judges, and its tables stand on the repository's page as they stand in the code."""

from __future__ import annotations

import json
import re

import pytest

from tests.contract.conformance_tables import EXCLUSIONS, PAGE, STATUSES, WAIVERS, is_excluded, page
from tests.contract.exchange_support import call, served, submit
from tests.contract.openapi_support import check_answer, deviations_of, needs_specifications, operation_of, operations


def test_the_page_shows_the_tables():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.contract.conformance_tables"


@needs_specifications
def test_every_row_of_the_tables_speaks_of_something_that_the_specifications_have():
    names = [operation.name for operation in operations()]
    for pattern in [*(row.operations for row in STATUSES), *(row.operations for row in WAIVERS)]:
        assert any(re.fullmatch(pattern, name) for name in names), pattern
    for row in EXCLUSIONS:
        assert any(re.fullmatch(row.paths, operation.template) for operation in operations()), row.paths


@needs_specifications
@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v2/orders", "/v2/orders"),
        ("/v2/orders:by_client_order_id", "/v2/orders:by_client_order_id"),
        ("/v2/assets/BTC%2FUSD", "/v2/assets/{symbol_or_asset_id}"),
        ("/v2/account/activities/FILL", "/v2/account/activities/{activity_type}"),
        ("/v2/stocks/bars/latest", "/v2/stocks/bars/latest"),
    ],
)
def test_a_path_is_found_in_the_specifications_and_a_literal_one_wins(path, template):
    operation = operation_of("GET", path)
    assert operation is not None
    assert operation.template == template


@needs_specifications
@pytest.mark.asyncio
async def test_an_order_that_lacks_a_key_or_has_a_wrong_form_deviates():
    async with served() as (_, session):
        _, order = await submit(session)
    operation = operation_of("POST", "/v2/orders")
    assert operation is not None
    assert deviations_of(operation, 200, order) == []
    without = {key: value for key, value in order.items() if key != "notional"}
    wrong = [without, order | {"qty": 1}, order | {"side": "both"}, order | {"created_at": "noon"}, order | {"id": "1"}]
    assert [deviations_of(operation, 200, body)[0].place for body in wrong] == ["", "qty", "side", "created_at", "id"]


@needs_specifications
def test_a_status_that_is_in_no_table_is_refused():
    check_answer("POST", "/v2/orders", 400, b"{}")
    with pytest.raises(AssertionError, match="418 is in no table"):
        check_answer("POST", "/v2/orders", 418, b"{}")


@needs_specifications
def test_an_entry_of_a_close_all_may_be_an_error_and_not_half_an_order():
    refused = {"symbol": "AAPL", "status": 403, "body": {"code": 40310000, "message": "insufficient qty available"}}
    check_answer("DELETE", "/v2/positions", 207, json.dumps([refused]).encode())
    with pytest.raises(AssertionError, match="notional"):
        check_answer("DELETE", "/v2/positions", 207, json.dumps([refused | {"body": {"id": "x"}}]).encode())


@needs_specifications
@pytest.mark.asyncio
async def test_what_is_not_offered_is_refused_as_to_an_account_without_the_permission():
    excluded = [operation for operation in operations() if is_excluded(operation.template)]
    assert len(excluded) > 20
    async with served() as (_, session):
        for operation in excluded:
            path = re.sub(r"\{[^}]+\}", "some", operation.template)
            assert await call(session, operation.method.upper(), path) == (
                403,
                {"code": 40310000, "message": "forbidden."},
            )
