"""The child process that reads one upload: `python -m service.ingest`, an order as JSON in, what was found as JSON out.

It limits itself (memory, processor time, size of files) before it touches a byte of the upload, and dies with the
process that asked. Knows no Redis, no settings and no artifact store.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from service import strict_json
from service.errors import BadData, TooLarge
from service.processes import bind_to_parent

_OVERHEAD_BYTES = 512 << 20  # interpreter, libraries, a column while it is converted


def main() -> None:
    """Read the order from stdin, obey it, print the answer."""
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve memory ahead, which the limit would count
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    order = strict_json.decode(sys.stdin.buffer.read())
    bind_to_parent(order["parent"])
    _limit(order["limits"])
    sys.stdout.write(strict_json.encode(answer(order)))


def answer(order: Mapping[str, Any]) -> dict[str, Any]:
    """Obey an order (`service.ingest_process` writes it); whatever goes wrong is an answer too."""
    try:
        return {"found": _obey(order)}
    except (BadData, TooLarge) as refused:
        errors = [asdict(error) for error in refused.errors]
        return _refused("too_large" if isinstance(refused, TooLarge) else "bad_data", refused.detail, errors)
    except Exception as broken:  # whatever a library makes of bytes that are no such file
        number = broken.errno if isinstance(broken, OSError) else None
        if isinstance(broken, MemoryError) or number == errno.EFBIG:
            limit = order["limits"]["expanded_bytes"]
            return _refused("too_large", f"the upload holds more than the {limit} bytes that it may expand to")
        traceback.print_exc()
        if number in (errno.ENOSPC, errno.EDQUOT):
            return _refused("no_room", f"the upload cannot be kept: {_first_line(broken)}")
        return _refused("bad_data", f"the upload cannot be read as {order['format']}: {_first_line(broken)}")


def _refused(kind: str, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    return {"refused": {"kind": kind, "detail": detail, "errors": list(errors)}}


def _obey(order: Mapping[str, Any]) -> dict[str, Any]:
    from pyarrow import parquet  # after the limits

    from service.ingest_columns import describe
    from service.ingest_formats import READERS

    table = READERS[order["format"]](Path(order["source"]), order["target"], order["limits"]["expanded_bytes"])
    found, columns = describe(table, order["target"], order["overrides"])
    parquet.write_table(columns, order["parsed"], compression="zstd", row_group_size=1 << 17)
    return found.to_document()


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return strict_json.printable(lines[0][:300]) if lines else type(error).__name__


def _limit(limits: Mapping[str, Any]) -> None:
    memory = min(limits["expanded_bytes"] + _OVERHEAD_BYTES, _physical_bytes() * 3 // 4)
    seconds = int(limits["seconds"]) + 1
    for what, soft, hard in (
        (resource.RLIMIT_DATA, memory, memory),
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_FSIZE, limits["expanded_bytes"], limits["expanded_bytes"]),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        _, ceiling = resource.getrlimit(what)
        resource.setrlimit(what, (soft, hard) if ceiling == resource.RLIM_INFINITY else (min(soft, ceiling), ceiling))


def _physical_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
