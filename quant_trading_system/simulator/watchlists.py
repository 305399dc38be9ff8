"""The account's watchlists. Decides names, limits and what is refused, with the recorded texts (reference 6.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

import msgspec

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.refusals import Refusal, invalid, malformed, not_found

NAME_LENGTH_MAX = 64
WATCHLISTS_MAX = 200  # Alpaca's own limit is not known; nobody keeps as many by hand
SYMBOLS_MAX = 1_000  # of one list

FindAsset = Callable[[str], SimAsset]


class Watchlist(msgspec.Struct, frozen=True, kw_only=True):
    """One list: assets by their ids, so that a new symbol stays on it."""

    id: str
    created_at_ns: int
    updated_at_ns: int
    name: str
    asset_ids: tuple[str, ...] = ()


class Watchlists:
    """All lists of the account.

    Args:
        asset: finds an asset by its symbol or id, or raises.
        keep: takes each new state of a list; None in place of one says that it is gone.
    """

    def __init__(self, chance: Chance, *, asset: FindAsset, keep: Callable[[str, Watchlist | None], None]) -> None:
        self._chance = chance
        self._asset = asset
        self._keep = keep
        self._lists: dict[str, Watchlist] = {}
        self._made = 0  # counts those ever made: their ids are functions of it

    def all(self) -> list[Watchlist]:
        """The oldest first (recorded 2020-06-11)."""
        return list(self._lists.values())

    def assets(self, watchlist: Watchlist) -> list[SimAsset]:
        return [self._asset(asset_id) for asset_id in watchlist.asset_ids]

    def find(self, *, watchlist_id: str | None = None, name: str | None = None) -> Watchlist:
        """A list by its id or its name.

        Raises:
            Refusal: 404, or 422 for an id that is none.
        """
        if watchlist_id is None:
            found = next((item for item in self._lists.values() if item.name == name), None)
        else:
            found = self._lists.get(_parsed_id(watchlist_id))
        if found is None:
            raise not_found(f"watchlist not found: {watchlist_id if watchlist_id is not None else name}")
        return found

    def create(self, body: Mapping[str, object], now_ns: Nanos) -> Watchlist:
        """Make a list. Raises Refusal: a name or symbols that cannot be."""
        name = _name_in(body)
        if name is None:
            raise invalid("name is required")
        self._check_name(name)
        asset_ids = self._asset_ids(_symbols_in(body) or ())
        if len(self._lists) >= WATCHLISTS_MAX:
            raise invalid(f"no more than {WATCHLISTS_MAX} watchlists are allowed")
        return self._put(
            Watchlist(
                id=self._chance.uuid("watchlist", self._made + 1),
                created_at_ns=now_ns,
                updated_at_ns=now_ns,
                name=name,
                asset_ids=asset_ids,
            )
        )

    def update(self, old: Watchlist, body: Mapping[str, object], now_ns: Nanos) -> Watchlist:
        """Give a list another name and other symbols; without symbols it is empty afterwards (recorded 2020-06-11)."""
        name, symbols = _name_in(body), _symbols_in(body)
        if name is None and symbols is None:
            raise invalid("name or symbols is required")
        if name is not None and name != old.name:
            self._check_name(name)
        asset_ids = self._asset_ids(symbols or ())
        return self._put(msgspec.structs.replace(old, name=name or old.name, asset_ids=asset_ids, updated_at_ns=now_ns))

    def add(self, old: Watchlist, body: Mapping[str, object]) -> Watchlist:
        """Put an asset at the end of a list, which does not count as an update (recorded 2020-06-11)."""
        symbol = body.get("symbol")
        if symbol is None or symbol == "":
            raise invalid("symbol is required")
        if not isinstance(symbol, str):
            raise malformed()
        asset_id = self._asset(symbol).id
        if asset_id in old.asset_ids:
            raise invalid(f"duplicate symbol: {symbol}")
        if len(old.asset_ids) >= SYMBOLS_MAX:
            raise invalid(f"no more than {SYMBOLS_MAX} symbols are allowed")
        return self._put(msgspec.structs.replace(old, asset_ids=(*old.asset_ids, asset_id)))

    def remove(self, old: Watchlist, symbol: str) -> Watchlist:
        """Take an asset off a list, if it is on it (recorded 2021-01-19); no update either."""
        asset_id = self._asset(symbol).id
        left = tuple(other for other in old.asset_ids if other != asset_id)
        return self._put(msgspec.structs.replace(old, asset_ids=left))

    def delete(self, old: Watchlist) -> None:
        del self._lists[old.id]
        self._keep(old.id, None)

    def restore(self, watchlist_id: str, watchlist: Watchlist | None) -> None:
        """Take over what a journal tells of a list."""
        if watchlist is None:
            self._lists.pop(watchlist_id, None)
        else:
            self._take(watchlist)

    def _put(self, watchlist: Watchlist) -> Watchlist:
        self._take(watchlist)
        self._keep(watchlist.id, watchlist)
        return watchlist

    def _take(self, watchlist: Watchlist) -> None:
        if watchlist.id not in self._lists:
            self._made += 1
        self._lists[watchlist.id] = watchlist

    def _check_name(self, name: str) -> None:
        if len(name) > NAME_LENGTH_MAX:
            raise invalid(f"name must be no more than {NAME_LENGTH_MAX} characters")
        if any(item.name == name for item in self._lists.values()):
            raise invalid("watchlist name must be unique")

    def _asset_ids(self, symbols: Iterable[str]) -> tuple[str, ...]:
        asset_ids = tuple(dict.fromkeys(self._asset(symbol).id for symbol in symbols))
        if len(asset_ids) > SYMBOLS_MAX:
            raise invalid(f"no more than {SYMBOLS_MAX} symbols are allowed")
        return asset_ids


def _parsed_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise _no_watchlist() from None


def _no_watchlist() -> Refusal:
    return invalid("watchlist is required")  # recorded 2020-06-11, for an id that is none


def _name_in(body: Mapping[str, object]) -> str | None:
    name = body.get("name")
    if name is None or name == "":
        return None
    if not isinstance(name, str):
        raise malformed()
    return name


def _symbols_in(body: Mapping[str, object]) -> list[str] | None:
    symbols = body.get("symbols")
    if symbols is None:
        return None
    if not isinstance(symbols, list) or not all(isinstance(symbol, str | None) for symbol in symbols):
        raise malformed()
    return [symbol for symbol in symbols if symbol]
