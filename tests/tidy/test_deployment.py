"""The image, the unit, the compose file and the alerts, as far as they can be judged without running them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from quant_trading_system.observability.families import Families
from tests.tidy.source import ROOT

OPS = ROOT / "config" / "ops"
UNIT = OPS / "systemd" / "alphatrade.service"
RULES = OPS / "prometheus" / "rules.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"

METRICS = frozenset(
    re.findall(
        r"\w+",
        """
        build_info mode_info trading_state kill_switch_engaged loop_lag_seconds loop_last_progress_timestamp_seconds
        stream_connected stream_last_message_timestamp_seconds market_data_messages_total market_data_age_seconds
        inbox_depth inbox_dropped_total decisions_total orders_total order_rejections_total tick_to_order_seconds
        order_ack_seconds order_fill_seconds slippage_bps unknown_orders reconciliation_runs_total
        reconciliation_last_success_timestamp_seconds reconciliation_drifts_total broker_requests_total
        broker_request_seconds broker_budget_remaining circuit_breaker_state equity_usd cash_usd gross_exposure_ratio
        day_pnl_usd drawdown_ratio limit_usage_ratio positions open_orders top_position_ratio
        strategy_evaluation_seconds data_fetch_seconds data_fallbacks_total component_errors_total
        healing_actions_total store_write_seconds alerts_sent_total tasks standby
        """,
    )
)
"""The metrics that the interface promises, without their prefix."""


# --- the image ------------------------------------------------------------------------------------------------------


def stages() -> list[str]:
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text())
    return re.split(r"(?m)^(?=FROM )", text)[1:]


@pytest.mark.requirement("R215")
def test_the_image_is_built_in_two_stages_from_one_pinned_base():
    bases = [stage.splitlines()[0] for stage in stages()]
    assert len(bases) == 2
    assert len({base.removesuffix(" AS build") for base in bases}) == 1
    tag = re.search(r"ARG PYTHON_TAG=(\S+)", (ROOT / "Dockerfile").read_text())
    assert tag
    assert re.fullmatch(r"3\.\d+\.\d+-slim-\w+", tag[1]), "a slim base, pinned to a patch release"
    assert ":latest" not in "".join(stages())


def test_the_image_installs_by_hash_and_carries_no_installer():
    build, final = stages()
    assert "--require-hashes" in build
    assert "--only-binary :all:" in build
    assert "pip uninstall" in final
    assert "pip install" not in final
    assert "apt-get" not in final


def test_the_image_compiles_bytecode_before_its_root_becomes_read_only():
    build, _ = stages()
    assert re.search(r"compileall .*quant_trading_system main\.py \.venv/lib", build)
    assert "PYTHONDONTWRITEBYTECODE" not in "".join(stages())


def test_the_image_runs_as_nobody_in_particular():
    _, final = stages()
    user = re.search(r"(?m)^USER (\d+):(\d+)$", final)
    assert user, "USER wants numbers, so that an orchestrator can see that it is not root"
    assert int(user[1]) >= 10_000
    assert final.index("USER ") < final.index("ENTRYPOINT")


def test_the_image_probes_itself_and_stops_on_sigterm():
    _, final = stages()
    assert re.search(
        r'HEALTHCHECK .*\\\n\s+CMD \["/app/\.venv/bin/python", "-m", "quant_trading_system\.cli\.probe"\]', final
    )
    assert "STOPSIGNAL SIGTERM" in final
    assert re.search(r"(?m)^ENTRYPOINT \[", final), "exec form: a shell in between would swallow the signal"
    assert "VOLUME /var/lib/alphatrade" in final


def test_the_build_context_holds_no_history_tests_or_secrets():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*", "everything is left out unless it is named"
    let_in = {rule.removeprefix("!").split("/")[0] for rule in rules if rule.startswith("!")}
    assert let_in == {"main.py", "alembic.ini", "LICENSE", "requirements", "config", "quant_trading_system"}


# --- the compose file -----------------------------------------------------------------------------------------------


def services() -> dict[str, dict[str, Any]]:
    loaded: dict[str, Any] = yaml.safe_load((OPS / "compose" / "compose.yaml").read_text())
    services_: dict[str, dict[str, Any]] = loaded["services"]
    return services_


@pytest.mark.parametrize("name", ["alphatrade", "postgres", "valkey"])
def test_every_container_is_confined(name: str):
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["init"] is True
    assert service["pids_limit"]
    assert service["mem_limit"]
    assert not any("docker.sock" in str(volume) for volume in service["volumes"])
    assert re.fullmatch(r"alphatrade:local|\S+:\d+\.\d+\S*", service["image"]), "a named version, never latest"


def test_stores_have_no_network_and_the_dashboard_is_on_loopback_alone():
    assert services()["postgres"]["network_mode"] == services()["valkey"]["network_mode"] == "none"
    command = services()["alphatrade"]["command"]
    assert command[command.index("--http") + 1].startswith("127.0.0.1:")
    assert "ports" not in services()["alphatrade"]


def test_a_container_gets_longer_to_stop_than_the_ordered_shutdown_takes():
    assert int(services()["alphatrade"]["stop_grace_period"].removesuffix("s")) > 10


# --- the unit -------------------------------------------------------------------------------------------------------


def unit_settings() -> dict[str, list[str]]:
    settings: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            settings.setdefault(name, []).append(value)
    return settings


def test_a_start_that_would_fail_again_is_not_repeated():
    settings = unit_settings()
    assert settings["RestartPreventExitStatus"] == ["2 4 6 7"]
    assert settings["StartLimitBurst"] == ["3"]
    assert settings["StartLimitIntervalSec"] == ["300"]


def test_the_engine_loop_feeds_the_units_watchdog():
    settings = unit_settings()
    assert settings["Type"] == ["notify"]
    assert settings["NotifyAccess"] == ["main"]
    assert settings["WatchdogSec"] == ["20"]


def test_only_the_daemon_is_told_to_stop_so_that_its_database_outlives_it():
    assert unit_settings()["KillMode"] == ["mixed"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_accepts_the_unit():
    verdict = run("systemd-analyze", "verify", str(UNIT))
    assert (verdict.returncode, verdict.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_rates_the_unit_as_hardened():
    verdict = run("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(UNIT))
    if "unrecognized option" in verdict.stderr:
        pytest.skip("this systemd cannot rate a unit file offline")
    assert verdict.returncode == 0, verdict.stdout


def test_every_native_module_loads_where_no_memory_is_writable_and_executable():
    """The unit sets MemoryDenyWriteExecute; prctl's PR_SET_MDWE is the same refusal without systemd."""
    assert unit_settings()["MemoryDenyWriteExecute"] == ["yes"]
    script = """
import ctypes, mmap, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0:  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
    sys.exit(77)
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    sys.exit(77)
except OSError:
    pass
import aiohttp, asyncpg, cryptography.fernet, greenlet, msgspec, numpy, pydantic_settings, sqlalchemy, uvloop
uvloop.new_event_loop().close()
"""
    verdict = run(sys.executable, "-c", script)
    if verdict.returncode == 77:
        pytest.skip("this kernel cannot refuse writable and executable memory")
    assert verdict.returncode == 0, verdict.stderr


# --- alerts ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exported:
    labels: tuple[str, ...]
    largest_bound: float


def exported() -> dict[str, Exported]:
    """What the daemon really exports, by the name that an expression uses."""
    families = Families(CollectorRegistry())
    found = {}
    for metric in families.collectors():
        name = metric._name + ("_total" if metric._type == "counter" else "")
        bounds = [bound for bound in getattr(metric, "_upper_bounds", ()) if bound < float("inf")]
        found[name] = Exported(labels=tuple(metric._labelnames), largest_bound=max(bounds, default=0.0))
    return found


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_every_alert_has_a_runbook_section_and_every_section_an_alert():
    sections = re.findall(r"(?m)^### (\w+)$", RUNBOOK.read_text())
    assert sections == [alert["alert"] for alert in alerts()]
    assert [a["annotations"]["runbook"] for a in alerts()] == [f"docs/runbook.md#{name.lower()}" for name in sections]


def test_every_section_says_what_it_means_where_to_look_and_what_to_do():
    bodies = re.split(r"(?m)^### ", RUNBOOK.read_text())[1:]
    lacking = [body.split("\n")[0] for body in bodies if not re.search(r"(?s)\*\*Means\..*\*\*Look\..*\*\*Do\.", body)]
    assert lacking == []


def test_every_alert_watches_a_metric_that_the_interface_promises():
    unknown = [
        f"{alert['alert']}: {name}"
        for alert in alerts()
        for name in re.findall(r"\bqts_(\w+)", alert["expr"])
        if name not in METRICS and name.removesuffix("_bucket") not in METRICS
    ]
    assert unknown == []
    assert all(alert["alert"] == "DaemonDown" or "qts_" in alert["expr"] for alert in alerts())


def test_every_label_that_an_alert_reads_is_one_that_the_daemon_writes():
    families = exported()
    wrong = [
        f"{alert['alert']}: {name}{{{label}}}"
        for alert in alerts()
        for name, labels in re.findall(r"\bqts_(\w+)\{([^}]*)\}", alert["expr"])
        for label in re.findall(r"(\w+)(?:=~|!~|!=|=)", labels)
        if label not in families[f"qts_{name}"].labels
    ]
    assert wrong == []


def test_no_alert_waits_for_a_quantile_above_the_last_bucket():
    """Prometheus answers the last finite bound for whatever lies beyond it: such an alert could never fire."""
    families = exported()
    quantile = re.compile(r"histogram_quantile\(.*?qts_(\w+?)_bucket.*?\)\)\)? > ([\d.]+)")
    limits = [
        (alert["alert"], float(threshold), families[f"qts_{name}"].largest_bound)
        for alert in alerts()
        for name, threshold in quantile.findall(alert["expr"])
    ]
    assert len(limits) == sum("histogram_quantile" in alert["expr"] for alert in alerts())
    assert [limit for limit in limits if limit[1] >= limit[2]] == []


def test_every_alert_has_a_severity_and_says_one_sentence():
    assert {alert["labels"]["severity"] for alert in alerts()} == {"critical", "warning"}
    assert all(alert["annotations"]["summary"] for alert in alerts())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed here")
def test_prometheus_accepts_rules_and_configuration():
    assert run("promtool", "check", "rules", str(RULES)).returncode == 0
    assert run("promtool", "check", "config", str(OPS / "prometheus" / "prometheus.yml")).returncode == 0


def test_the_scrape_reaches_the_daemon_where_it_listens():
    loaded = yaml.safe_load((OPS / "prometheus" / "prometheus.yml").read_text())
    assert json.dumps(loaded["scrape_configs"]).count("127.0.0.1:8080") == 1


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
