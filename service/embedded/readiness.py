"""Is everything up, and where: asks the API's /readyz, and writes the file by which tools find a service."""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.private_files import write_private

if TYPE_CHECKING:
    from service.embedded.deployment import Deployment


def is_ready(url: str, timeout_s: float = 2.0) -> bool:
    """Whether the API says that Redis, scheduler and Ray are there."""
    return answers(url, "/readyz", timeout_s)


def answers(url: str, path: str, timeout_s: float = 2.0) -> bool:
    """Whether a GET is answered with 200; no proxy is ever asked."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def write_service_file(deployment: Deployment) -> None:
    """Say where the service is, to this user's tools alone; whole or not at all."""
    text = json.dumps(
        {
            "url": deployment.url,
            "pid": os.getpid(),
            "redis_url": deployment.redis_url,
            "ray_address": deployment.ray_address,
            "ray_token_path": deployment.ray_token_path,
        }
    )
    write_private(Path(deployment.plan.service_file), text)
