"""`python -m service redis`: becomes the server that deltaq brings along, where each part has a machine of its own.

Password and port are those of `DELTAQ_REDIS_URL`, which all parts share.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from service.errors import Misconfigured
from service.private_files import write_private
from service.redis_server import KEEPING, server_binary
from service.settings import load_settings

CONFIGURATION = """\
bind {bind}
port {port}
requirepass "{password}"
dir "{data_dir}"
"""


def main(arguments: Sequence[str]) -> None:
    """Become the server. Does not come back.

    Raises: Misconfigured when the URL has no password, or one that the configuration cannot hold.
    """
    parser = argparse.ArgumentParser(prog="python -m service redis", description=__doc__)
    parser.add_argument("--bind", default="* -::*", help="the addresses to listen on [every one]")
    bind = parser.parse_args(arguments).bind
    settings = load_settings()
    where = urlsplit(settings.redis_url or "")
    password = unquote(where.password or "")
    if where.scheme != "redis" or not password or not password.isalnum():
        raise Misconfigured("DELTAQ_REDIS_URL must be redis://:PASSWORD@host:port/0, with letters and digits")
    data_dir = settings.data_dir / "redis"
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = {"bind": bind, "port": where.port or 6379, "password": password, "data_dir": data_dir.absolute()}
    configuration = data_dir / "redis.conf"
    write_private(configuration, CONFIGURATION.format(**values) + KEEPING)
    binary = server_binary()
    os.execv(binary, [binary, str(configuration)])
