"""What the letters on trades and quotes mean, and on which tape a listing is reported. Decides what makes a bar.

Codes of tapes A and B are the Consolidated Tape Association's (CTS and CQS output specifications), those of tape C the
UTP plan's (UTDF and UQDF), exchange codes the tapes' own with Alpaca's names (docs.alpaca.markets, read 2026-11).
"""

from __future__ import annotations

from functools import cache
from typing import Final

from quant_trading_system.simulator.assets import listing_of

TAPES: Final = ("A", "B", "C")
REGIONAL_TAPE: Final = "B"
_TAPE_OF_LISTING = {"NYSE": "A", "NASDAQ": "C"}
_CODE_OF_LISTING = {"NYSE": "N", "NASDAQ": "Q", "ARCA": "P", "NYSEARCA": "P", "AMEX": "A", "BATS": "Z"}
IEX: Final = "V"
OFF_EXCHANGE: Final = "D"  # FINRA: dark pools and internalisers

OPENING: Final = "O"
OFFICIAL_OPEN: Final = "Q"
CLOSING: Final = "6"
OFFICIAL_CLOSE: Final = "M"
AUCTION_MARKS: Final = (OPENING, OFFICIAL_OPEN, CLOSING, OFFICIAL_CLOSE)
ODD_LOT: Final = "I"
EXTENDED_HOURS: Final = "T"
OUT_OF_SEQUENCE: Final = "Z"
_REGULAR_OF_TAPE = {"A": " ", "B": " ", "C": "@"}

_CTA_TRADES = {
    " ": "Regular Sale",
    "4": "Derivatively Priced",
    "5": "Market Center Reopening Trade",
    "6": "Market Center Closing Trade",
    "7": "Qualified Contingent Trade",
    "8": "Reserved",
    "9": "Corrected Consolidated Close Price as per Listing Market",
    "B": "Average Price Trade",
    "C": "Cash Trade (Same Day Clearing)",
    "E": "Automatic Execution",
    "F": "Inter-market Sweep Order",
    "H": "Price Variation Trade",
    "I": "Odd Lot Trade",
    "K": "Rule 127 (NYSE only) or Rule 155 (NYSE MKT only)",
    "L": "Sold Last (Late Reporting)",
    "M": "Market Center Official Close",
    "N": "Next Day Trade (Next Day Clearing)",
    "O": "Market Center Opening Trade",
    "P": "Prior Reference Price",
    "Q": "Market Center Official Open",
    "R": "Seller",
    "T": "Extended Hours Trade",
    "U": "Extended Hours Sold (Out Of Sequence)",
    "V": "Contingent Trade",
    "X": "Cross Trade",
    "Z": "Sold (Out Of Sequence)",
}
_UTP_TRADES = {
    "1": "Stopped Stock (Regular Trade)",
    "2": "Stopped Stock (Sold Last)",
    "3": "Stopped Stock (Sold Out of Sequence)",
    "4": "Derivatively Priced",
    "5": "Re-Opening Prints",
    "6": "Closing Prints",
    "7": "Qualified Contingent Trade (QCT)",
    "8": "Placeholder For 611 Exempt",
    "9": "Corrected Consolidated Close (per listing market)",
    "@": "Regular Sale",
    "A": "Acquisition",
    "B": "Bunched Trade",
    "C": "Cash Sale",
    "D": "Distribution",
    "E": "Placeholder",
    "F": "Intermarket Sweep",
    "G": "Bunched Sold Trade",
    "H": "Price Variation Trade",
    "I": "Odd Lot Trade",
    "K": "Rule 155 Trade (AMEX)",
    "L": "Sold Last",
    "M": "Market Center Official Close",
    "N": "Next Day",
    "O": "Opening Prints",
    "P": "Prior Reference Price",
    "Q": "Market Center Official Open",
    "R": "Seller",
    "S": "Split Trade",
    "T": "Form T",
    "U": "Extended Trading Hours (Sold Out Of Sequence)",
    "V": "Contingent Trade",
    "W": "Average Price Trade",
    "X": "Cross Trade",
    "Y": "Yellow Flag Regular Trade",
    "Z": "Sold (Out Of Sequence)",
}
_CTA_QUOTES = {
    "4": "On Demand Intra Day Auction",
    "A": "Slow Quote Offer Side",
    "B": "Slow Quote Bid Side",
    "C": "Closing Quote",
    "E": "Slow Quote LRP Bid Side",
    "F": "Slow Quote LRP Offer Side",
    "H": "Slow Quote Bid And Offer Side",
    "L": "Closed Quote",
    "N": "Non Firm Quote",
    "O": "Opening Quote",
    "R": "Regular, Two-Sided Open Quote",
    "U": "Slow Quote LRP Bid And Offer Side",
    "W": "Slow Quote Set Slow List",
}
_UTP_QUOTES = {
    "4": "On Demand Intra Day Auction",
    "A": "Manual Ask, Automated Bid",
    "B": "Manual Bid, Automated Ask",
    "F": "Fast Trading",
    "H": "Manual Bid And Ask",
    "I": "Order Imbalance",
    "L": "Closed Quote",
    "N": "Non Firm Quote",
    "O": "Opening Quote, Automated",
    "R": "Regular, Two-Sided Open Quote, Automated",
    "U": "Manual Bid And Ask, Non Firm",
    "X": "Order Influx",
    "Y": "No Offer No Bid, One-Sided Open Quote",
    "Z": "No Open No Resume",
}
TRADE_CONDITIONS: Final = {"A": _CTA_TRADES, "B": _CTA_TRADES, "C": _UTP_TRADES}
QUOTE_CONDITIONS: Final = {"A": _CTA_QUOTES, "B": _CTA_QUOTES, "C": _UTP_QUOTES}

EXCHANGES: Final = {
    "A": "NYSE American (AMEX)",
    "B": "NASDAQ OMX BX",
    "C": "National Stock Exchange",
    "D": "FINRA ADF",
    "E": "Market Independent",
    "H": "MIAX",
    "I": "International Securities Exchange",
    "J": "Cboe EDGA",
    "K": "Cboe EDGX",
    "L": "Long Term Stock Exchange",
    "M": "Chicago Stock Exchange",
    "N": "New York Stock Exchange",
    "P": "NYSE Arca",
    "Q": "NASDAQ OMX",
    "S": "NASDAQ Small Cap",
    "T": "NASDAQ Int",
    "U": "Members Exchange",
    "V": "IEX",
    "W": "CBOE",
    "X": "NASDAQ OMX PSX",
    "Y": "Cboe BYX",
    "Z": "Cboe BZX",
}

# Which prints make a bar: the tapes' tables of what updates the consolidated high, low, last and volume. An extended
# hours print (T) sets prices of minute bars, as Alpaca's pre-market bars show, and none of the daily bar.
_NO_VOLUME = frozenset("MQ9")
_NO_PRICE = frozenset("CHIMNQRUVWZ479P")
_NO_PRICE_ON_CTA_ONLY = frozenset("BL")  # on tape C, B is a bunched trade and L updates the last price


def tape_of(listing: str) -> str:
    """The tape on which symbols of an exchange ("NYSE", "NASDAQ", …) are reported."""
    return _TAPE_OF_LISTING.get(listing, REGIONAL_TAPE)


def code_of(listing: str) -> str:
    """The tape's letter for a listing exchange."""
    return _CODE_OF_LISTING.get(listing, "N")


def regular_sale(tape: str) -> str:
    return _REGULAR_OF_TAPE[tape]


def regular_of(symbol: str) -> str:
    """The condition of an ordinary sale of a symbol."""
    return regular_sale(tape_of(listing_of(symbol)))


@cache
def counts_in_volume(conditions: tuple[str, ...]) -> bool:
    """Whether a print is part of a bar's volume and count."""
    return _NO_VOLUME.isdisjoint(conditions)


@cache
def sets_price(conditions: tuple[str, ...]) -> bool:
    """Whether a print may set a minute bar's open, high, low or close."""
    if not _NO_PRICE.isdisjoint(conditions):
        return False
    return "@" in conditions or _NO_PRICE_ON_CTA_ONLY.isdisjoint(conditions)
