"""The Docker set-up, as far as it can be tested without Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml  # type: ignore[import-untyped]
from ports import free_port
from redis.backoff import NoBackoff
from redis.retry import Retry

from scanner.processes import children, embedded_broker

ROOT = Path(__file__).parents[1]
NO_RETRY = Retry(NoBackoff(), 0)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Return the content of docker-compose.yml."""
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Write a folder with the two passwords, as Docker mounts them."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "redis_password").write_text("b1ue\n")
    (folder / "postgres_password").write_text("gr33n\n")
    return folder


def test_no_port_is_published_and_no_network_leads_out(compose: dict[str, Any]) -> None:
    """Nothing outside reaches the queue or the store, and workers reach nothing outside.

    A hub and the pages, which have to be reachable, and a worker whose hub is elsewhere are the
    exceptions; the pages only from this machine, unless an address is named.
    """
    services = compose["services"]
    others = {"hub": None, "joined": ["outside"], "pages": ["inside", "outside"]}

    assert {"pages": ["${PAGES_ADDRESS:-127.0.0.1}:8765:8765"]} == {
        name: service["ports"] for name, service in services.items() if service.get("ports")
    }
    assert {name: others.get(name, ["inside"]) for name in services} == {
        name: service.get("networks") for name, service in services.items()
    }
    assert compose["networks"]["inside"]["internal"] is True
    assert "host" == services["hub"]["network_mode"]


def test_profiles(compose: dict[str, Any]) -> None:
    """`docker compose up` starts queue, store and workers; profiles start the rest."""
    assert {"scanner": ["tools"], "hub": ["hub"], "joined": ["joined"], "pages": ["pages"]} == {
        name: service["profiles"]
        for name, service in compose["services"].items()
        if "profiles" in service
    }


@pytest.mark.parametrize("profile", [[], ["hub"], ["joined"], ["tools"], ["pages"]])
def test_compose_accepts_the_file(profile: list[str], tmp_path: Path) -> None:
    """Compose accepts the file, with each profile."""
    found = next(filter(_runs, (["docker-compose"], ["docker", "compose"])), None)
    if found is None:
        pytest.skip("no Compose is installed")
    profiles = [word for name in profile for word in ("--profile", name)]
    asked = [*found, "--file", str(ROOT / "docker-compose.yml"), *profiles, "config", "--quiet"]
    done = subprocess.run(
        asked, env=os.environ | {"PHOTOS": "/photos"}, capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_passwords_are_files_and_in_no_environment(compose: dict[str, Any]) -> None:
    """The environment of each service holds at most the path of a password's file."""
    environments = [service.get("environment", {}) for service in compose["services"].values()]
    leaking = [
        name
        for environment in environments
        for name in environment
        if re.search("PASSWORD|URL", name) and not name.endswith("_FILE")
    ]

    assert [] == leaking
    assert {"redis_password", "postgres_password", "hub_line", "web_token"} == set(
        compose["secrets"]
    )
    assert all("file" in secret for secret in compose["secrets"].values())


def _runs(compose: list[str]) -> bool:
    if shutil.which(compose[0]) is None:
        return False
    return subprocess.run([*compose, "version"], capture_output=True, check=False).returncode == 0


def test_persistent_data_is_on_named_volumes(compose: dict[str, Any]) -> None:
    """Queue, store and host id survive their containers."""
    services = compose["services"]

    assert "redis-data:/data" in services["redis"]["volumes"]
    assert "postgres-data:/var/lib/postgresql/data" in services["postgres"]["volumes"]
    assert "hub-state:/home/scanner/.local/state/scanner" in services["hub"]["volumes"]
    assert "hub-store:/home/scanner/.local/share/scanner" in services["hub"]["volumes"]
    assert {"redis-data", "postgres-data", "host-state", "hub-state", "hub-store"} == set(
        compose["volumes"]
    )


def test_hub_can_write_its_state(compose: dict[str, Any]) -> None:
    """A hub's root is read-only; its state, store and caches are on volumes or in memory."""
    hub = compose["services"]["hub"]
    volumes = [mount.split(":")[1] for mount in hub["volumes"] if isinstance(mount, str)]
    writable = [*hub["tmpfs"], *volumes]
    home = {"XDG_CONFIG_HOME": ".config", "XDG_STATE_HOME": ".local/state"}
    home["XDG_DATA_HOME"] = ".local/share"
    places = [
        hub.get("environment", {}).get(name, f"/home/scanner/{folder}")
        for name, folder in home.items()
    ]

    assert hub["read_only"] is True
    assert [] == [
        place
        for place in places
        if not any(
            f"{place}/scanner".startswith(f"{there}/") or f"{place}/scanner" == there
            for there in writable
        )
    ]


def test_workers_scale_and_cannot_change_photos(compose: dict[str, Any]) -> None:
    """Workers have no fixed name, read-only photos, limits, and are restarted when they fail."""
    worker = compose["services"]["worker"]
    (photos,) = [mount for mount in worker["volumes"] if isinstance(mount, dict)]

    assert "container_name" not in worker
    assert photos["read_only"] is True
    assert worker["read_only"] is True
    assert {"cpus", "memory"} == set(worker["deploy"]["resources"]["limits"])
    assert "unless-stopped" == worker["restart"]
    assert "healthcheck" in worker


def test_services_wait_for_what_they_need(compose: dict[str, Any]) -> None:
    """Workers start after the queue answers and the store's tables are created."""
    services = compose["services"]

    assert {
        "redis": {"condition": "service_healthy"},
        "upgrade": {"condition": "service_completed_successfully"},
    } == services["worker"]["depends_on"]
    assert ["tools"] == services["scanner"]["profiles"]
    assert {"redis", "postgres"} <= {
        name for name in services if "test" in services[name].get("healthcheck", {})
    }


def test_queue_requires_its_password(
    compose: dict[str, Any], secrets: Path, tmp_path: Path
) -> None:
    """The service's own command, run here, starts a server that requires the password."""
    port = free_port()
    shell, flag, script = compose["services"]["redis"]["command"]
    script = script.replace("$$", "$").replace("/run/secrets", str(secrets))
    script = script.replace("appendonly yes", f"appendonly yes\nport {port}")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "redis-server").symlink_to(embedded_broker.find_program())
    env = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    process = children.start([shell, flag, script], env=env, cwd=tmp_path)
    try:
        with redis.Redis(
            port=port, password="b1ue", retry=NO_RETRY, decode_responses=True
        ) as client:
            deadline = time.monotonic() + 30
            while not embedded_broker._answers(client) and time.monotonic() < deadline:
                time.sleep(0.02)
            settings = client.config_get("appendonly", "maxmemory-policy", "save")
        with (
            redis.Redis(port=port, retry=NO_RETRY) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        arguments = Path(f"/proc/{process.pid}/cmdline").read_text()
    finally:
        children.stop(process, grace_s=10)

    assert {"appendonly": "yes", "maxmemory-policy": "noeviction", "save": ""} == settings
    assert "b1ue" not in arguments


def test_worker_joins_with_the_line(compose: dict[str, Any], tmp_path: Path) -> None:
    """The service's own command joins with the line in its secret, then works."""
    (tmp_path / "hub_line").write_text("the hub's line\n")
    program = tmp_path / "scanner"
    program.write_text('#!/bin/sh\necho "scanner $@"\n[ "$1" != join ] || cat\n')
    program.chmod(0o755)
    *shell, script = compose["services"]["joined"]["entrypoint"]
    script = script.replace("/run/secrets", str(tmp_path))
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([*shell, script], env=env, capture_output=True, text=True, check=True)

    assert "scanner join -\nthe hub's line\nscanner worker\n" == done.stdout


def test_pages_and_their_health_check(
    compose: dict[str, Any], secrets: Path, tmp_path: Path
) -> None:
    """The service's own command serves with the token in its secret; its check needs no token."""
    port = str(free_port())
    (secrets / "web_token").write_text("a-token-of-many-characters\n")
    pages = compose["services"]["pages"]
    kind, program, *check = [word.replace("8765", port) for word in pages["healthcheck"]["test"]]
    places = {"/run/secrets": str(secrets), "=/photos": f"={tmp_path}", "8765": port}
    words = pages["command"]
    for place, here in places.items():
        words = [word.replace(place, here) for word in words]
    env = os.environ | {"SCANNER_STORE_URL": str(tmp_path / "store.db"), "HOME": str(tmp_path)}
    process = children.start([sys.executable, "-m", "scanner", *words], env=env, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 60
        while subprocess.run(
            [sys.executable, *check], check=False, stderr=subprocess.DEVNULL
        ).returncode:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        children.stop(process, grace_s=10)

    assert ("CMD", "python") == (kind, program)
    assert "/tmp" in pages["tmpfs"]
    assert "web_token" in pages["secrets"]


def test_container_completes_the_urls(secrets: Path, tmp_path: Path) -> None:
    """`container ARGUMENT…` runs `scanner ARGUMENT…` with both URLs complete."""
    program = tmp_path / "scanner"
    program.write_text('#!/bin/sh\necho "$SCANNER_BROKER_URL $SCANNER_STORE_URL" "$@"\n')
    program.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SECRETS_FOLDER": str(secrets)}
    command = [str(ROOT / "bin" / "container"), "enqueue", "/my photos"]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=True)

    expected = "redis://:b1ue@redis:6379/0 postgresql://scanner:gr33n@postgres/scanner"
    assert f"{expected} enqueue /my photos\n" == result.stdout


def test_image_has_the_sources_of_the_wheel() -> None:
    """Each path that the Dockerfile copies exists and is not ignored."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    copied = {
        path
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE)
        for path in [word for word in line.split() if not word.startswith("--")][:-1]
    }
    kept = (ROOT / ".dockerignore").read_text("utf-8").split("!")[1:]
    allowed = {line.split("\n")[0] for line in kept}

    assert [] == [path for path in copied if not (ROOT / path).exists()]
    assert [] == [
        path for path in copied if path not in allowed and path.split("/")[0] not in allowed
    ]
