"""Named places where a test may end, stop, delay or fail the process. Decides nothing; off, each costs one test.

The code at the edge (app, adapters, persistence) calls `failpoint(name)` where a crash would hurt most; the engine and
its stages never do, for nothing can happen inside one of their steps. Who installs a hook says what a name does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Hook = Callable[[str], None]

NAMES: Final = (
    # the eight steps: ready, and left again
    "step.configuration.entered",
    "step.configuration.left",
    "step.observability.entered",
    "step.observability.left",
    "step.database.entered",
    "step.database.left",
    "step.redis.entered",
    "step.redis.left",
    "step.broker.entered",
    "step.broker.left",
    "step.risk.entered",
    "step.risk.left",
    "step.strategies.entered",
    "step.strategies.left",
    "step.market_data.entered",
    "step.market_data.left",
    # the schema
    "migration.before",
    "migration.revision_applied",
    "migration.before_commit",
    # the life of the database
    "instance.before_latch",
    "instance.before_commit",
    "instance.before_token",
    "instance.after_token",
    "instance.before_renewal",
    "instance.after_renewal",
    "instance.after_renewed_mark",
    # the lease
    "lease.before_take",
    "lease.after_take",
    "lease.before_renew",
    "lease.after_renew",
    "lease.dropped",
    "lease.before_release",
    # recovery and the first pass
    "recovery.before_load",
    "recovery.after_load",
    "recovery.after_survey",
    "first_pass.before",
    "first_pass.after",
    # the engine's loop
    "engine_loop.before_effects",
    # an order on its way out
    "gateway.before_intent_commit",
    "gateway.after_intent_commit",
    "gateway.before_check",
    "gateway.before_bytes",
    "http.after_bytes",
    "gateway.before_answer",
    "gateway.after_answer",
    "gateway.before_refusal",
    "gateway.before_doubt",
    "gateway.before_retry",
    "gateway.dropped",
    # its intent
    "intents.before_transaction",
    "intents.inside_transaction",
    "intents.after_transaction",
    "intents.before_read_back",
    # what is written behind
    "writer.before_batch",
    "writer.inside_batch",
    "writer.after_batch",
    # what else is asked of the broker
    "performers.before_cancel",
    "performers.after_cancel",
    "performers.before_ask",
    "performers.after_ask",
    "performers.before_cancel_all",
    "performers.after_cancel_all",
    # one pass of the reconciliation
    "reconciler.before_pass",
    "reconciler.after_open_orders",
    "reconciler.after_positions",
    "reconciler.after_account",
    "reconciler.after_closed_orders",
    "reconciler.after_executions",
    "reconciler.before_tell",
    "reconciler.after_tell",
    # the order stream
    "trade_stream.logged_in",
    "trade_stream.listening",
    "trade_stream.update_told",
    # the kill latch and its file
    "latch.engage.before_file",
    "latch.engage.after_file",
    "latch.engage.after_row",
    "latch.engage.after_mirror",
    "latch.clear.before_mirror",
    "latch.clear.after_mirror",
    "latch.clear.after_row",
    "latch.clear.after_file",
    "latch_file.before_fsync",
    "latch_file.before_rename",
    "latch_file.after_rename",
    "latch_file.before_new_spare",
    # other files
    "files.before_rename",
    "files.after_rename",
    "tape.new_segment",
    "tape.before_block",
    # the ordered stop
    "stop.asked",
    "stop.orders_settled",
    "stop.last_pass_read",
    "stop.before_report",
    "stop.before_flush",
)
"""Every failpoint there is. Each is named at exactly one place of the package."""

_hook: Hook | None = None


def failpoint(name: str) -> None:
    """Tell the hook, if one is installed, that this place was reached. What the hook raises is raised here."""
    if _hook is not None:
        _hook(name)


def install(hook: Hook | None) -> None:
    """Have `hook` called with the name of every failpoint that is reached; None takes it away again."""
    global _hook
    _hook = hook
