"""What one seed does to the daemon: which faults, when, how long, and how the world is set. A function of the seed.

Decides by swarm selection: each seed enables a random subset of the fault kinds, some none, some one, some many, so
that every kind and every pair of kinds meets the others' absence as well. A chaos phase is followed by a healing phase,
in which every fault is over and convergence is demanded.
"""

from __future__ import annotations

import math
from random import Random

import msgspec
from msgspec import Struct

from tests.simulation.plan_kinds import (
    AFTER_OPEN,
    BY_NAME,
    KINDS,
    POINTS,
    REFUSALS,
    Choice,
    Kind,
    Parameter,
    Span,
    Value,
)

RUN_S = 1800.0
"""Half an hour of the market, in its own seconds. Where venue time runs faster than the daemon's, a run is shorter."""
QUARANTINE_S = 60.0
"""So long an order may still arrive at the broker: the daemon's own figure, which plans of a fast venue divide."""
HEAL_BEYOND_QUARANTINE_S = 45.0
"""Two periods of reconciliation, five seconds, and room to show that trading goes on."""
QUIET_S = 6.0
"""Nothing happens to the daemon before it had time to start."""
CHAOS_SHARE_MAX = 0.7
"""Of the chaos phase, that one fault lasts with all that follows from it."""

NONE_SHARE, ONE_SHARE, TRAPS_SHARE, TALES_SHARE = 0.03, 0.05, 0.22, 0.1
"""Of the seeds: without a fault, with a single one, with crashes at failpoints and little else, with nothing but what
the broker does to single orders."""
TALES = (
    (*("broker_ends",) * 3, *("decisions_at_once",) * 2, "leg_fills_during_cancel"),
    (*("broker_ends",) * 3, *("decisions_at_once",) * 2, "cancel_fails"),
    *((*("replaced_outside",) * 4, *("decisions_at_once",) * 2),) * 3,
    *((*("odd_status",) * 2, *("cancel_fails",) * 2, *("decisions_at_once",) * 2),) * 2,
)
"""Each leads an order to other states; beside faults that keep orders from the broker hardly one gets there."""
TRAPS, TRAP_DOWN_S, BESIDE_TRAPS = 4, 1.0, 0.03
"""Crashes at failpoints in a seed of them. Which points they are is the seed's number's, so that each has its turns."""
TURNS = (
    *POINTS, "gateway.before_refusal", "gateway.before_retry", "gateway.dropped", "intents.before_read_back",
    "trade_stream.update_told", "performers.after_cancel", "latch.clear.after_mirror", "latch.clear.after_row",
    "latch.clear.after_file", "stop.orders_settled",
)  # fmt: skip
"""Some places have two turns: not every trap there is walked into."""
SWARM_SHARES = (0.05, 0.12, 0.22, 0.35)
"""How likely each kind is in a seed that has many: few together let each act alone, many let them meet."""
LIVES_MAX = 3
"""Faults that end the process, in one seed: a seed of restarts alone would trade nothing."""
TAILS = ("down_s", "frozen_s", "reset_after_s", "delay_s", "after_s")
"""Parameters that make a fault last beyond its window."""


IN_QUARANTINE = ("post_delayed",)
"""Kinds whose order arrives late, but as long as the daemon waits for it."""


class Fault(Struct, frozen=True):
    """One fault of one seed: from `at_s` for `for_s` of the daemon's seconds after the market's start, or once."""

    kind: str
    at_s: float
    for_s: float = 0.0
    parameters: dict[str, Value] = {}

    @property
    def ends_s(self) -> float:
        """When it is over, with what follows from it."""
        return self.at_s + self.for_s + tail_s(self.parameters)


class Plan(Struct, frozen=True):
    """Everything that is drawn for one seed. `switches` set the world and the daemon's bounds."""

    seed: int
    faults: tuple[Fault, ...] = ()
    switches: dict[str, float] = {}

    @property
    def run_s(self) -> float:
        """How long it takes, in the daemon's seconds."""
        return RUN_S / self.switches.get("venue_speed", 1.0)

    @property
    def hurry(self) -> float:
        """By what the quarantine is divided, so that a short run has room for chaos as well."""
        return HURRY.get(self.switches.get("venue_speed", 1.0), 1.0)

    @property
    def quarantine_s(self) -> float:
        """How long an order may still arrive, in the daemon's seconds."""
        return QUARANTINE_S / self.hurry

    @property
    def entry_s(self) -> float:
        """So long an entry rests before it is cancelled and decided anew; 0: as in production."""
        return self.switches.get("entry_s", 0.0) if self.hurry > 1.0 else 0.0

    @property
    def heal_s(self) -> float:
        """How long, at the end, nothing is wrong any more."""
        return self.quarantine_s + HEAL_BEYOND_QUARANTINE_S

    @property
    def chaos_s(self) -> float:
        """When every fault is over."""
        return self.run_s - self.heal_s


FAST = 18.0
HURRY = {FAST: 6.0, 15.0: 4.0}
"""By what the longest waits are divided at a speed; plans that were kept run at the second."""
SPEEDS = (1.0, *(6.0,) * 5, *(FAST,) * 994)
"""Venue seconds in one of the daemon's: half an hour of bars, windows and sessions in a few minutes of timers and ages
costs an eighteenth. Few seeds have both in step, as paper and live do."""
SWITCHES: dict[str, Parameter] = {
    "venue_speed": Choice(SPEEDS),
    "symbols": Choice((1.0, 1.0, 2.0, 2.0, 2.0, 3.0)),
    "strategies": Choice((1.0, 2.0, 2.0)),
    "temperament": Choice((0.2, 0.5, 0.8, 0.8)),  # how likely a strategy changes its mind at a bar
    "stops": Choice((0.0, 1.0)),  # whether strategies declare a protective stop
    "start_minute": Choice((20.0, 45.0, 90.0, 150.0, 200.0, 240.0, 300.0, 325.0)),  # after the open of 390 minutes
    "volatility": Choice((0.0002, 0.0005, 0.0015)),  # of a minute, as a fraction
    "quote_gap_s": Choice((2.0, 3.0, 3.0)),  # a bar of the fast plans takes 3.3 s
    "partial_fill_probability": Choice((0.0, 0.0, 0.2, 0.6)),
    "resting_probability": Choice((0.0, 0.2, 0.6)),  # the market steps away, so that an order rests
    "entry_s": Choice((5.0, 5.0, 5.0, 20.0)),  # in fast plans, so long an entry rests
    "broker_latency_ms": Choice((1.0, 15.0, 60.0, 250.0)),
    "broker_jitter_ms": Choice((0.0, 10.0, 100.0)),
    "stream_latency_ms": Choice((0.0, 5.0, 40.0, 400.0)),
    "database_latency_ms": Choice((0.2, 1.0, 5.0, 20.0)),
    "redis_latency_ms": Choice((0.1, 1.0, 5.0)),
    "ready_choice": Choice((0.0, 1.0, 1.0)),  # 0: first in, first out; 1: a ready task is drawn
    "restart_pause_s": Choice((0.5, 1.0, 3.0)),
    "dedup_open_only": Choice((0.0, 1.0)),  # the broker refuses a repeated client id of open orders only, or of all
    "tight": Choice((0.0, 0.0, 0.0, 0.0, 1.0)),  # 1: limits of rates and of healing so low that they are met
    "first_life": Choice((0.0, *(1.0,) * 9)),  # 0: the database and the broker know an earlier day
}  # fmt: skip


Occasions = tuple[tuple[str, float, dict[str, Value]], ...]
EVERYBODY: tuple[str, float, dict[str, Value]] = ("decisions_at_once", 20.0, {})
"""Orders leave with every bar, so that one passes the place."""
OCCASIONS: dict[tuple[str, ...], Occasions] = {
    ("recovery.", "first_pass.", "lease.before_take", "lease.after_take", "trade_stream.l"): (
        ("crash", 0.0, {"down_s": 1.0}),
    ),
    ("step.database.entered", "step.redis.entered", "step.broker.entered", "step.risk.entered"): (
        ("crash", 0.0, {"down_s": 1.0}),
    ),
    ("step.", "stop.", "lease.before_release"): (("sigterm", 0.0, {"down_s": 2.0}),),
    ("lease.dropped",): (("lease_lost", 0.0, {"how": "connection"}),),
    ("gateway.before_refusal",): (
        EVERYBODY, ("post_rejected", 20.0, {"probability": 1.0, "refusal": REFUSALS[0]}),
    ),
    ("gateway.before_doubt", "performers.before_ask", "performers.after_ask"): (
        EVERYBODY, ("post_lost", 20.0, {"probability": 1.0, "how": "504"}),
    ),
    ("gateway.before_retry", "gateway.dropped"): (EVERYBODY, ("post_refused", 20.0, {"probability": 1.0})),
    ("intents.before_read_back",): (EVERYBODY, ("commit_lost", 15.0, {"probability": 0.6, "done": 1.0})),
    ("gateway.", "intents.", "http.", "trade_stream.update_told"): (EVERYBODY,),
    ("instance.before_renewal", "instance.after_renew"): (
        ("database_restored", 0.0, {"age_s": 60.0, "mark": 1.0, "down_s": 1.0}),
    ),
    ("latch.", "latch_file.", "performers.before_cancel_all", "performers.after_cancel_all"): (
        ("kill", 0.0, {"by": "operator", "reset_after_s": 3.0}),
    ),
    ("performers.before_cancel", "performers.after_cancel"): (EVERYBODY, ("cancel_slow", 60.0, {"delay_s": 1.0})),
}  # fmt: skip
"""Failpoints that are seldom passed by themselves, by the beginning of their names, and the faults that lead there."""
LEGS_SHARE = 0.6
"""Of the seeds in which a leg is to fill, that have legs in any case."""
BEFORE_THE_START = ("instance.before_latch", "instance.before_commit", "instance.before_token", "instance.after_token")
"""Places that only the very first start passes: the trap is set before it."""


def make_plan(seed: int) -> Plan:
    """The plan of one seed, the same on every machine."""
    chance = Random(seed)
    switches = {name: float(draw(chance, parameter)) for name, parameter in SWITCHES.items()}
    bare = Plan(seed=seed, switches=switches)
    share = chance.random()
    faults = [fault for kind in _drawn_kinds(chance, share) for fault in _faults_of(chance, kind, bare)]
    faults = _with_few_deaths(chance, faults)
    faults += _traps(chance, bare) if share < TRAPS_SHARE else []
    if chance.random() < LEGS_SHARE and any(fault.kind == "leg_fills_during_cancel" for fault in faults):
        switches["stops"] = 1.0
    faults += [occasion for fault in faults for occasion in _occasions(fault, bare.chaos_s)]
    return Plan(seed=seed, faults=tuple(sorted(faults, key=lambda each: (each.at_s, each.kind))), switches=switches)


def to_line(plan: Plan) -> str:
    """A plan as one line of JSON."""
    return msgspec.json.encode(plan).decode()


def from_line(text: str) -> Plan:
    """The plan that `to_line` wrote.

    Raises:
        ValueError: a fault of a kind that is not in the table.
    """
    plan = msgspec.json.decode(text, type=Plan)
    unknown = sorted({fault.kind for fault in plan.faults} - set(BY_NAME))
    if unknown:
        raise ValueError(f"plan of seed {plan.seed}: no fault kind {', '.join(unknown)}")
    return plan


def draw(chance: Random, parameter: Parameter) -> Value:
    """One value of a parameter; numbers with four digits, so that a plan reads well."""
    if isinstance(parameter, Choice):
        return chance.choice(parameter.values)
    return _draw_span(chance, parameter)


def tail_s(parameters: dict[str, Value]) -> float:
    """How long a fault goes on behind its window, in seconds."""
    return sum(float(parameters.get(name, 0.0)) for name in TAILS)


def _draw_span(chance: Random, span: Span) -> float:
    if span.is_log:
        return _round(math.exp(chance.uniform(math.log(span.low), math.log(span.high))))
    return _round(chance.uniform(span.low, span.high))


def _traps(chance: Random, bare: Plan) -> list[Fault]:
    """Crashes at places that follow each other from seed to seed, one after the other through the chaos."""
    room_s = (bare.chaos_s - QUIET_S) / TRAPS
    return [
        Fault(
            "crash_at_failpoint",
            0.0 if point.startswith(BEFORE_THE_START) else _round(QUIET_S + room_s * (number + chance.random() / 2)),
            0.0,
            {"point": point, "hit": 1.0, "down_s": TRAP_DOWN_S},
        )
        for number, point in enumerate(_points_of(bare.seed))
    ]


def _points_of(seed: int) -> list[str]:
    """The points that have their turn: first those that an order must pass, then those of the latch, which take time.

    Of one part of the code a seed has one: what leads there leads there best the first time.
    """
    apart = len(TURNS) // TRAPS
    points = [TURNS[(seed + number * apart) % len(TURNS)] for number in range(TRAPS)]
    return sorted(points, key=lambda point: (EVERYBODY not in _made_for(point), not point.startswith("latch")))


def _made_for(point: str) -> Occasions:
    return next((made for prefixes, made in OCCASIONS.items() if point.startswith(prefixes)), ())


def _drawn_kinds(chance: Random, share: float) -> list[Kind]:
    if share < TRAPS_SHARE:
        return [kind for kind in KINDS if chance.random() < BESIDE_TRAPS and not kind.ends_life]
    share -= TRAPS_SHARE
    if share < NONE_SHARE:
        return []
    if share < NONE_SHARE + ONE_SHARE:
        return [chance.choice(KINDS)]
    if share < NONE_SHARE + ONE_SHARE + TALES_SHARE:
        return [BY_NAME[name] for name in chance.choice(TALES)]
    probability = chance.choice(SWARM_SHARES)
    return [kind for kind in KINDS if chance.random() < min(1.0, probability * kind.weight)]


def _faults_of(chance: Random, kind: Kind, bare: Plan) -> list[Fault]:
    return [_fault(chance, kind, bare) for _ in range(chance.randint(1, kind.times_max))]


def _fault(chance: Random, kind: Kind, bare: Plan) -> Fault:
    parameters = {name: draw(chance, parameter) for name, parameter in kind.parameters.items()}
    if kind.name in IN_QUARANTINE:
        parameters["delay_s"] = _round(float(parameters["delay_s"]) / bare.hurry)
    if "down_s" in parameters:
        parameters["down_s"] = _round(float(parameters["down_s"]) / bare.hurry)
    for_s = 0.0 if kind.seconds is None else _round(_draw_span(chance, kind.seconds) / bare.hurry)
    if kind.seconds is AFTER_OPEN:
        for_s = _round(for_s * bare.hurry / bare.switches["venue_speed"])
    lasts_s, longest_s = for_s + tail_s(parameters), CHAOS_SHARE_MAX * (bare.chaos_s - QUIET_S)
    if lasts_s > longest_s:
        part = longest_s / lasts_s
        for_s = _round(for_s * part)
        parameters |= {name: _round(float(parameters[name]) * part) for name in TAILS if name in parameters}
    if str(parameters.get("point", "")).startswith(BEFORE_THE_START):
        return Fault(kind.name, 0.0, for_s, parameters)
    latest_s = bare.chaos_s - for_s - tail_s(parameters)
    return Fault(kind.name, _round(chance.uniform(QUIET_S, latest_s)), for_s, parameters)


def _occasions(fault: Fault, chaos_s: float) -> list[Fault]:
    """What makes the daemon pass the place where it is to die, a moment after the trap is set."""
    point = str(fault.parameters.get("point", ""))
    at_s = _round(fault.at_s + 1.0)
    occasions = [
        Fault(kind, at_s, min(for_s, _round(chaos_s - at_s - tail_s(parameters))), dict(parameters))
        for kind, for_s, parameters in _made_for(point)
    ]
    return [each for each in occasions if each.for_s >= 0.0 and each.ends_s <= chaos_s]


def _with_few_deaths(chance: Random, faults: list[Fault]) -> list[Fault]:
    deaths = [fault for fault in faults if BY_NAME[fault.kind].ends_life]
    if len(deaths) <= LIVES_MAX:
        return faults
    kept = set(chance.sample(range(len(deaths)), LIVES_MAX))
    dropped = [fault for number, fault in enumerate(deaths) if number not in kept]
    return [fault for fault in faults if not any(fault is other for other in dropped)]


def _round(number: float) -> float:
    return float(f"{number:.4g}")
