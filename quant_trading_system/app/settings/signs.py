"""The signs that say which account is meant: mode, account number, keys, URLs. Any two that disagree stop the start."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from quant_trading_system.app.settings.keys import BrokerKeys
from quant_trading_system.app.settings.root import Settings
from quant_trading_system.core.errors import ConfigurationError, SafetyRefusal
from quant_trading_system.core.types import Mode

PAPER_HOST = "paper-api.alpaca.markets"
LIVE_HOST = "api.alpaca.markets"
URL_VARIABLES = ("ALPACA_BASE_URL", "APCA_API_BASE_URL", "ALPACA_API_BASE_URL")
PAPER_FLAGS = ("ALPACA_PAPER_TRADE", "ALPACA_IS_PAPER", "ALPACA_PAPER")
LIVE_FLAGS = ("ALPACA_LIVE_TRADE",)
PAPER_KEY_PREFIX = "PK"
TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")


def check_urls(settings: Settings, mode: Mode) -> list[str]:
    """Overrides of the broker's hosts: loopback only, in paper only."""
    problems = []
    for name, url in (
        ("broker.trading_url", settings.broker.trading_url),
        ("broker.data_url", settings.broker.data_url),
        ("broker.stream_url", settings.broker.stream_url),
    ):
        if url is None:
            continue
        schemes = ("ws",) if name.endswith("stream_url") else ("http",)
        if mode is not Mode.PAPER:
            problems.append(f"{name}: may be set in mode paper only, found in {mode}")
        elif not is_loopback_url(url, schemes):
            problems.append(f"{name}: must be a loopback URL such as {schemes[0]}://127.0.0.1:8090, found {url!r}")
    exchange = settings.simulation.exchange_url
    if exchange is not None and not is_loopback_url(exchange, ("http",)):
        problems.append(
            f"simulation.exchange_url: must be a loopback URL such as http://127.0.0.1:8090, found {exchange!r}"
        )
    return problems


def is_loopback_url(url: str, schemes: tuple[str, ...]) -> bool:
    """Whether `url` has one of the schemes, a loopback host, and neither credentials nor query."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in schemes or not parts.hostname or parts.username or parts.query or parts.fragment:
        return False
    if port == 0:
        return False
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


def check_signs(settings: Settings, mode: Mode, keys: BrokerKeys | None, environ: Mapping[str, str]) -> None:
    """Stop when the signs disagree, or when a mode lacks what it needs.

    Raises:
        SafetyRefusal: two signs disagree.
        ConfigurationError: keys or the account number are missing.
    """
    if mode in (Mode.SIM, Mode.BACKTEST):
        return
    _check_variables(mode, environ)
    if mode is Mode.LIVE and keys is not None and keys.key_id.startswith(PAPER_KEY_PREFIX):
        raise SafetyRefusal(
            f"mode is live, but the key from {keys.source} begins with {PAPER_KEY_PREFIX}: that is a paper key",
            fix="use live keys, or --mode paper",
        )
    missing = []
    if keys is None:
        missing.append(
            f"broker keys: mode {mode} needs a key pair: QTS__BROKER__KEY_ID and QTS__BROKER__SECRET_KEY, or "
            "APCA_API_KEY_ID and APCA_API_SECRET_KEY" + (" (live: as …_FILE)" if mode is Mode.LIVE else "")
        )
    if mode is Mode.LIVE and not settings.trade.account:
        missing.append("trade.account: live needs the account number as a sign of its own: --account NUMBER")
    if missing:
        raise ConfigurationError(missing, fix="keys are made on Alpaca's dashboard; to look around: --mode sim")


def _check_variables(mode: Mode, environ: Mapping[str, str]) -> None:
    for name in URL_VARIABLES:
        url = environ.get(name, "")
        says = {PAPER_HOST: Mode.PAPER, LIVE_HOST: Mode.LIVE}.get(urlsplit(url).hostname or "")
        if says is not None and says is not mode:
            raise SafetyRefusal(f"mode is {mode}, but {name} names the {says} host ({url})", fix=f"unset {name}")
    for names, said_mode in ((PAPER_FLAGS, Mode.PAPER), (LIVE_FLAGS, Mode.LIVE)):
        other = Mode.LIVE if said_mode is Mode.PAPER else Mode.PAPER
        for name in names:
            text = environ.get(name, "").strip().lower()
            says = said_mode if text in TRUE else other if text in FALSE else None
            if says is not None and says is not mode:
                raise SafetyRefusal(f"mode is {mode}, but {name}={environ[name]} says {says}", fix=f"unset {name}")
