"""docker-compose.yml and the Dockerfile, without an engine: the schema, and that all they name exists and works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from service.__main__ import COMMANDS
from service.embedded.deployment import free_port
from service.errors import Misconfigured
from service.redis_server import await_suitable
from service.settings import Settings

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
COMMAND_LINES = {
    **{f"{name}": service["command"] for name, service in SERVICES.items()},
    **{f"{name}, healthy": service["healthcheck"]["test"][1:] for name, service in SERVICES.items()},
}
SECRET = re.compile(r"PASSWORD|TOKEN|KEY", re.IGNORECASE)


def test_it_is_valid_by_the_compose_specification() -> None:
    schema = json.loads(files("check_jsonschema.builtin_schemas").joinpath("vendor/compose-spec.json").read_text())
    validator = validator_for(schema, default=Draft202012Validator)(schema)
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    broken = {**COMPOSE, "services": {"redis": {"comand": "x"}}}
    assert list(validator.iter_errors(broken)), "the schema refuses what is wrong"


def test_the_parts_are_those_of_the_service_and_share_one_image() -> None:
    assert set(SERVICES) == {"redis", "ray-head", "ray-worker", "scheduler", "sweeper", "api"}
    assert {service["image"] for service in SERVICES.values()} == {f"deltaq:{version()}"}
    assert all("container_name" not in service for service in SERVICES.values()), "so that they can be scaled"


def version() -> str:
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "deltaq" / "__init__.py").read_text(), re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("part", SERVICES)
def test_each_part_has_a_health_check_and_what_it_needs(part: str) -> None:
    service = SERVICES[part]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    for name in service.get("secrets", ()):
        assert name in COMPOSE["secrets"]
    for volume in service.get("volumes", ()):
        assert volume.partition(":")[0] in COMPOSE["volumes"], "named, so that it outlives the container"
    if part in ("ray-head", "ray-worker", "scheduler"):
        assert service["shm_size"]
        assert service["environment"]["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_token"
        assert service["secrets"] == ["ray_token"]
    for needed in service.get("depends_on", {}):
        assert needed in SERVICES


def test_all_that_compute_have_the_same_redis_artifacts_and_ray() -> None:
    computing = [SERVICES[part] for part in ("ray-head", "ray-worker", "scheduler")]
    for name in ("DELTAQ_REDIS_URL", "DELTAQ_RAY_ADDRESS", "DELTAQ_ARTIFACTS", "DELTAQ_KERNELS"):
        assert len({service["environment"][name] for service in computing}) == 1, name
    everywhere = [*computing, SERVICES["api"]]
    assert len({service["environment"]["DELTAQ_ARTIFACTS"] for service in everywhere}) == 1
    assert all("artifacts:/var/lib/deltaq/artifacts" in service["volumes"] for service in everywhere)


@pytest.mark.parametrize("command", COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_every_command_exists_with_its_flags(command: list[str]) -> None:
    assert command[:2] == ["python", "-m"]
    if command[2] == "api":
        assert command[3:] == []
        assert find_spec("api.__main__")
        return
    assert command[2] == "service"
    assert command[3] in COMMANDS
    told = subprocess.run(
        [sys.executable, *command[1:4], "--help"], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    for argument in command[4:]:
        assert argument.partition("=")[0] in told.stdout


@pytest.mark.parametrize("part", SERVICES)
def test_every_variable_is_one_that_is_read(part: str) -> None:
    for name in SERVICES[part]["environment"]:
        if name.startswith("DELTAQ_"):
            assert name.removeprefix("DELTAQ_").lower() in Settings.model_fields
        else:
            assert name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")


def test_no_secret_stands_in_it() -> None:
    for part, service in SERVICES.items():
        for name, value in service["environment"].items():
            if SECRET.search(name):
                assert value == "token" or value.startswith("/run/secrets/"), f"{part}: {name}"
    passwords = re.findall(r"redis://:([^@]*)@", TEXT)
    assert passwords
    assert all(password.startswith("${DELTAQ_REDIS_PASSWORD:?") for password in passwords)
    assert COMPOSE["secrets"]["ray_token"] == {"environment": "DELTAQ_RAY_TOKEN"}
    assert COMPOSE["secrets"]["api_keys"]["file"].startswith("${DELTAQ_API_KEYS:?")


def test_the_api_is_published_on_loopback_alone_and_asks_for_keys() -> None:
    assert SERVICES["api"]["ports"] == ["127.0.0.1:8000:8000"]
    assert "DELTAQ_API_KEYS_FILE" in SERVICES["api"]["environment"]
    assert all("ports" not in service for name, service in SERVICES.items() if name != "api")


@pytest.fixture
def networked_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The Redis of the file, by its command, on a loopback port."""
    url = f"redis://:secret1234@127.0.0.1:{free_port('127.0.0.1')}/0"
    monkeypatch.setenv("DELTAQ_REDIS_URL", url)
    monkeypatch.setenv("DELTAQ_DATA_DIR", str(tmp_path))
    command = [sys.executable, *SERVICES["redis"]["command"][1:], "--bind=127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        yield url
        server.terminate()


def healthy(part: str) -> int:
    return subprocess.run([sys.executable, "-m", "service", "healthy", part], check=False, timeout=60).returncode


def test_its_redis_works_is_suitable_and_healthy(networked_redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await_suitable(networked_redis)
    assert healthy("redis") == 0
    assert healthy("scheduler") == 1, "nobody has said yet that it leads"
    with pytest.raises(Misconfigured, match=r"WRONGPASS|invalid"):
        await_suitable(networked_redis.replace("secret1234", "wrong"))
    monkeypatch.setenv("DELTAQ_REDIS_URL", "redis://127.0.0.1:1/0")
    assert healthy("redis") == 1


def test_the_image_is_made_of_files_that_are_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    sources = [source for line in copied for source in line.split()[:-1]]
    assert "requirements.lock" in sources
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored or "requirements" in source, source
