"""Which database URLs are understood, and that a refused one never shows its password."""

from __future__ import annotations

import pytest

from quant_trading_system.core.errors import ConfigurationError, ExitCode
from quant_trading_system.persistence.database import normalise_dsn, redact_dsn


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("postgres://u:p@h:5433/d", "postgresql://u:p@h:5433/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql+asyncpg://u:p%40q@h/d", "postgresql://u:p%40q@h/d"),
        (" postgresql://u@h/d\n", "postgresql://u@h/d"),
        ("postgresql://u@/d?host=/run/pg", "postgresql://u@/d?host=/run/pg"),
        ("postgresql:///d?host=/run/pg&user=u", "postgresql:///d?host=/run/pg&user=u"),
        ("postgresql://u@h/d?sslmode=require", "postgresql://u@h/d?sslmode=require"),
        ("postgresql://u@[::1]:5432/d", "postgresql://u@[::1]:5432/d"),
    ],
)
def test_every_usual_form_is_understood(given: str, wanted: str):
    assert normalise_dsn(given) == wanted


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "expected the scheme postgresql, found 'no scheme'"),
        ("mysql://u:geheim@h/d", "expected the scheme postgresql, found 'mysql'"),
        ("sqlite:///geheim.db", "expected the scheme postgresql"),
        ("postgresql://u:geheim@h", "names no database"),
        ("postgresql://u:geheim@h/", "names no database"),
        ("postgresql:///d", "names no host and no socket folder"),
        ("postgresql://u:geheim@h:port/d", "not a URL"),
        ("postgresql://u:geheim@h:99999/d", "not a URL"),
        ("postgresql://u:geheim@h/d?hots=x", "unknown option hots"),
        ("postgresql://u:geheim@[h/d", "not a URL"),
    ],
)
def test_a_wrong_url_is_refused_with_its_reason_and_without_its_password(given: str, says: str):
    with pytest.raises(ConfigurationError) as caught:
        normalise_dsn(given)
    assert says in caught.value.message
    assert "geheim" not in caught.value.message + caught.value.fix
    assert caught.value.exit_code is ExitCode.CONFIGURATION


def test_a_url_is_shown_without_its_password():
    shown = redact_dsn("postgresql://u:geheim@h:5432/d?password=geheim2&sslmode=require")
    assert shown == "postgresql://u@h:5432/d?sslmode=require"
