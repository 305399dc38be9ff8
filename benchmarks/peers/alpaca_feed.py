"""alpaca-py takes the feed: CPU from its first handler call to its last, per message. Runs in .venv-bench.

`python benchmarks/peers/alpaca_feed.py PORT MESSAGES` prints one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import time

from alpaca.data.enums import DataFeed
from alpaca.data.live import StockDataStream


def main() -> None:
    port, messages = int(sys.argv[1]), int(sys.argv[2])
    stream = StockDataStream("PKSIM", "sim", feed=DataFeed.IEX, url_override=f"ws://127.0.0.1:{port}/v2/iex")
    seen, started_s = 0, 0.0

    async def handler(_: object) -> None:
        nonlocal seen, started_s
        seen += 1
        if seen == 1:
            started_s = time.process_time()
        elif seen == messages:
            spent_s = time.process_time() - started_s
            sys.stdout.write(json.dumps({"us_per_message": spent_s / (messages - 1) * 1e6}) + "\n")
            sys.stdout.flush()
            os._exit(0)  # its own way to stop waits for seconds

    stream.subscribe_quotes(handler, "*")
    stream.subscribe_trades(handler, "*")
    stream.run()


if __name__ == "__main__":
    main()
