"""FastAPI with nothing behind it: `POST /` reads JSON and answers it, by the server and settings of deltaq's API.

The command line names the port. It runs where deltaq runs, so that both have the same FastAPI and uvicorn.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/", response_model=None)
async def answer(request: Request) -> dict[str, Any]:
    """What was sent, as a dict."""
    received: dict[str, Any] = await request.json()
    return received


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
