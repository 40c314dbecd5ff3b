"""`deltaq up`: a foreground process and a keeper, which start each part by its command line and import none.

    deltaq up ── keeper ─┬─ valkey-server
    (foreground)         ├─ ray start --head
                         ├─ scheduler
                         └─ api

    foreground    waits, says where the service is, ends it; cleans up after a keeper that died
    keeper        starts the parts and starts again what dies alone; cleans up after a foreground that died
    plan          what the keeper is to start, made by the foreground from the settings
    directories   the locked data directory, and the short-lived one for sockets and secrets
    readiness     asks the API whether all is ready, and writes down where everything is

Nothing outlives the two: both adopt orphans, and each ends every process below it when the other is gone.
"""
