"""The document of the settings is generated, complete, and up to date."""

from __future__ import annotations

import pytest

from quant_trading_system.app.settings import Settings
from scripts.generate_configuration import LISTS, main, render


@pytest.mark.requirement("R029")
def test_the_document_names_every_setting_with_its_meaning():
    text = render()
    for section, field in Settings.model_fields.items():
        names = () if section in LISTS else getattr(field.annotation, "model_fields", {})
        missing = [name for name in names if f"`{section}.{name}" not in text]
        assert missing == []
    assert "| None |" not in text


def test_the_document_is_up_to_date():
    assert main(["--check"]) == 0
