"""No secret leaves in a log line, whatever key, text, object or exception carries it."""

from __future__ import annotations

import base64
import io
import json
import logging

import pytest

from quant_trading_system.observability.logs import LogSetup, configure, get_logger
from quant_trading_system.observability.redact import MASK, Redactor, names_a_secret

CANARY = "canary-7Hq2xV9mT4"
KEY_ID = "PK" + "A1B2C3D4" + "E5F6G7H8J9"  # put together here, so that no file holds a key


class Holder:
    """An object whose text gives its secret away."""

    def __str__(self) -> str:
        return f"Holder({CANARY})"


@pytest.fixture(params=["json", "console"])
def logged(request) -> tuple[io.StringIO, LogSetup]:
    stream = io.StringIO()
    setup = configure("debug", request.param, stream, context={"mode": "sim"}, environ={})
    setup.redactor.register(CANARY)
    return stream, setup


def spill_in_a_local_variable() -> None:
    kept = CANARY
    raise RuntimeError(f"no luck with {len(kept)} characters")


@pytest.mark.requirement("R170")
@pytest.mark.parametrize(
    "fields",
    [
        {"text": f"using {CANARY} now"},
        {"nested": {"deep": [{"er": CANARY}]}},
        {"holder": Holder()},
        {"items": {CANARY}},
        {"encoded": base64.b64encode(CANARY.encode()).decode()},
        {"raw": CANARY.encode()},
        {"password": "anything"},
        {"api_key": "anything"},
        {"Authorization": "anything"},
        {"control_token": "anything"},
        {"secret": {"in": "anything"}},
        {"header": "Bearer anything0123"},
        {"url": "postgresql://user:anything@host/db"},
        {"text": "APCA-API-SECRET-KEY: anything"},
        {"text": "password=anything&x=1"},
        {"text": f"key {KEY_ID} was refused"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_secret_is_masked_wherever_it_stands(logged, fields):
    stream, setup = logged
    get_logger("test").warning("something_happened", **fields)
    for text in (stream.getvalue(), json.dumps(setup.ring.tail(10), default=str)):
        assert CANARY not in text
        assert base64.b64encode(CANARY.encode()).decode() not in text
        assert "anything" not in text
        assert KEY_ID not in text
        assert MASK in text


@pytest.mark.requirement("R170")
def test_a_traceback_names_no_local_variable_and_no_secret(logged):
    stream, _ = logged
    try:
        spill_in_a_local_variable()
    except RuntimeError:
        get_logger("test").exception("it_failed", note=CANARY)
    assert "no luck" in stream.getvalue()
    assert "spill_in_a_local_variable" in stream.getvalue()
    assert CANARY not in stream.getvalue()


def test_what_libraries_log_is_masked_too(logged):
    stream, _ = logged
    logging.getLogger("some.library").warning("connecting with %s", CANARY)
    assert "library_log" in stream.getvalue()
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize(
    "name", ["api_key", "secretKey", "KEY_ID", "key", "access-token", "PASSWORD", "Authorization", "cookie", "key-id"]
)
def test_a_field_named_like_a_secret_is_one(name):
    assert names_a_secret(name)


@pytest.mark.parametrize("name", ["symbol", "monkey", "keyboard", "order_id", "tokyo", "event", "turkey"])
def test_a_field_with_another_name_is_none(name):
    assert not names_a_secret(name)


def test_empty_secrets_stay_visible_as_empty():
    assert Redactor().mapping({"api_key": "", "token": None}) == {"api_key": "", "token": None}


def test_short_values_are_not_searched_for_in_texts():
    redactor = Redactor()
    redactor.register("sim")
    assert redactor.text("mode sim") == "mode sim"


def test_texts_and_containers_are_bounded():
    redactor = Redactor()
    assert len(redactor.text("x" * 100_000)) < 20_000
    shown = redactor.value(list(range(10_000)))
    assert isinstance(shown, list)
    assert len(shown) == 200
    endless: list[object] = []
    endless.append(endless)
    assert "…" in str(redactor.value(endless))
