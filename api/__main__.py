"""`python -m api`: pins the kernels, then serves. What keeps it from serving is said in one line."""

from __future__ import annotations

import os
import sys

from service.errors import Misconfigured, StoreUnavailable
from workers import kernels


def main() -> int:
    """Serve until a signal; returns the exit code."""
    try:
        kernels.pin()
        from api.server import serve  # imports NumPy, which must find its kernels pinned
        from service.settings import load_settings
        from workers import logs

        settings = load_settings()
        logs.configure(settings.log_level)
        serve(settings)
    except Misconfigured as error:
        return _say(f"{error.detail}; {error.hint}" if error.hint else error.detail, os.EX_CONFIG)
    except StoreUnavailable as error:
        return _say(error.detail, os.EX_TEMPFAIL)
    except ValueError as error:
        if "DELTAQ_KERNELS" not in str(error):
            raise
        return _say(str(error), os.EX_CONFIG)
    return os.EX_OK


def _say(what: str, code: int) -> int:
    print(f"deltaq api: {what}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
