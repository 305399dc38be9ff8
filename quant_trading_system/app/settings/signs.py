"""The signs that say which account is meant: mode, account number, keys, URLs. Any two that disagree stop the start."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from quant_trading_system.app.forms import found, is_loopback
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
    for name, url, scheme in (
        ("broker.trading_url", settings.broker.trading_url, "http"),
        ("broker.data_url", settings.broker.data_url, "http"),
        ("broker.stream_url", settings.broker.stream_url, "ws"),
    ):
        if url is not None and mode is not Mode.PAPER:
            problems.append(f"{name}: may be set in mode paper only, found in mode {mode}")
        elif url is not None and not is_loopback_url(url, scheme):
            problems.append(_no_loopback(name, url, scheme))
    exchange = settings.simulation.exchange_url
    if exchange is not None and not is_loopback_url(exchange, "http"):
        problems.append(_no_loopback("simulation.exchange_url", exchange, "http"))
    return problems


def is_loopback_url(url: str, scheme: str) -> bool:
    """Whether `url` is `scheme://HOST[:PORT]` with a loopback host, and nothing else: no credentials, no query."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return False
    is_bare = not (parts.username or parts.password or parts.query or parts.fragment) and parts.path in ("", "/")
    is_plain = url.isascii() and url.isprintable() and " " not in url
    return parts.scheme == scheme and is_bare and is_plain and port != 0 and is_loopback(host or "")


def _no_loopback(name: str, url: str, scheme: str) -> str:
    shown = "one with a user name in it" if "@" in url else found(url)
    return f"{name}: must be a loopback URL such as {scheme}://127.0.0.1:8090, found {shown}"


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
    """What other tools call the same thing must not say another mode, nor something nobody can read."""
    for name in URL_VARIABLES:
        url = environ.get(name, "").strip()
        if url:
            _check_url_variable(mode, name, url)
    for names, said_mode in ((PAPER_FLAGS, Mode.PAPER), (LIVE_FLAGS, Mode.LIVE)):
        for name in names:
            text = environ.get(name, "").strip().lower()
            if text:
                _check_flag_variable(mode, name, text, said_mode)


def _check_url_variable(mode: Mode, name: str, url: str) -> None:
    try:
        host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        host = ""
    if mode is Mode.PAPER and is_loopback(host):
        return
    says = {PAPER_HOST: Mode.PAPER, LIVE_HOST: Mode.LIVE}.get(host)
    if says is None:
        raise SafetyRefusal(f"mode is {mode}, but {name} names neither of Alpaca's hosts", fix=f"unset {name}")
    if says is not mode:
        raise SafetyRefusal(f"mode is {mode}, but {name} names the {says} host {host}", fix=f"unset {name}")


def _check_flag_variable(mode: Mode, name: str, text: str, said_mode: Mode) -> None:
    other = Mode.LIVE if said_mode is Mode.PAPER else Mode.PAPER
    says = said_mode if text in TRUE else other if text in FALSE else None
    if says is None:
        raise SafetyRefusal(f"mode is {mode}, but {name} says neither true nor false", fix=f"unset {name}")
    if says is not mode:
        raise SafetyRefusal(f"mode is {mode}, but {name}={text} says {says}", fix=f"unset {name}")
