"""The stores of the simulation: models of PostgreSQL, Redis and the disk under the package's real store code.

What decides here is the real code of `persistence/`; the models answer as the servers would, on the loop's virtual time
and with chance from the generator they are given.

- `DatabaseModel(rng)`: `.database(incarnation)` is the real `Database` on the model. Checkers read `.rows(table)`,
  `.row(table, *key)` and `.committed_intent(id)`: committed rows alone. A plan calls `.go_down()`, `.come_up()`,
  `.restart()`, `.cut()`, `.restore_backup(age_s)`, `.empty()`, `.heal()`, sets `.is_silent`, `.is_read_only`,
  `.is_disk_full`, `.delays_s`, or adds a `Trouble`. When a daemon dies: `.drop_sessions(incarnation)`.
- `RedisModel(rng)`: `.state(...)` is the real `RedisState` on the model.
- `DiskModel(rng)`: `.path("/state")` stands in for the state directory's `Path`. When the power goes: `.crash()`.

To add a statement that the package sends: `statements.py` says how (its text and one function). Tables and columns need
nothing: they are read from `persistence/tables.py`. A text that is not known raises `UnknownStatement` and is kept in
`DatabaseModel.unknown`, which every run has to find empty.
"""

from __future__ import annotations

from tests.simulation.stores import reading
from tests.simulation.stores.database import DatabaseModel
from tests.simulation.stores.disk import DiskModel
from tests.simulation.stores.generated import UnknownStatement
from tests.simulation.stores.redis import RedisModel
from tests.simulation.stores.troubles import Kind, Trouble

__all__ = ["DatabaseModel", "DiskModel", "Kind", "RedisModel", "Trouble", "UnknownStatement", "reading"]
