"""The deployment's settings: flags and `DELTAQ_*` variables. The only reader of the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.errors import Misconfigured


class Settings(BaseSettings):
    """What one deployment of deltaq is made of. Frozen; picklable, so that actors get the same one."""

    model_config = SettingsConfigDict(env_prefix="DELTAQ_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    data_dir: Path = Field(default_factory=lambda: Path.home() / ".deltaq")
    workers: int = Field(default_factory=lambda: max(1, len(os.sched_getaffinity(0))), ge=1, le=1024)
    redis_url: str | None = None
    ray_address: str | None = None
    artifacts: str | None = None  # an fsspec URL; None: data_dir/artifacts
    cache_dir: Path | None = None  # a node's mapped data; None: data_dir/cache
    cache_bytes: int = Field(default=1 << 34, ge=0)  # of copies there, beside those that are in use
    api_keys_file: Path | None = None
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()  # beside loopback ones, that the API answers to
    kernels: Literal["portable", "native"] = "portable"
    pool_min: int | None = Field(default=None, ge=0)  # workers kept warm in the whole cluster; None: one on each slot
    pool_max: int | None = Field(default=None, ge=1)  # workers in the whole cluster at most; None: one on each slot
    pool_idle_s: float = Field(default=60.0, ge=0)  # after so long of no use, a worker beyond pool_min is ended
    max_growth_bytes: int = Field(default=1 << 28, gt=0)  # of an idle process of the pool since its start
    checkpoint_s: float = Field(default=5.0, ge=0)
    keep_checkpoint_every: int = Field(default=0, ge=0)  # beside the newest one; 0: none
    beat_s: float = Field(default=0.25, gt=0)
    lease_s: float = Field(default=10.0, gt=0)
    load_limit_s: float = Field(default=1800.0, gt=0)  # after so long in one phase a runner is taken to be stuck
    step_limit_s: float = Field(default=900.0, gt=0)  # one step with its part of an evaluation
    save_limit_s: float = Field(default=900.0, gt=0)
    max_queued: int | None = Field(default=200_000, ge=1)  # jobs of all tenants; beyond it none is accepted
    max_queued_tenant: int | None = Field(default=None, ge=1)  # of each tenant
    max_running_tenant: int | None = Field(default=None, ge=1)  # jobs of each tenant that run at a time
    max_deaths: int = Field(default=3, ge=1)  # of a job's runners, without progress, until it is taken for the cause
    reserve_s: float = Field(default=30.0, ge=0)  # a job that waits so long for slots has them held for it
    preempt_s: float = Field(default=1.0, ge=0)  # a job that waits so long may take the slots of lower priorities
    retention_s: float = Field(default=30 * 86400.0, gt=0)  # after a job's end its record goes to the artifact store
    drain_s: float = Field(default=10.0, ge=0)  # for running jobs to write a checkpoint in
    max_upload_bytes: int = Field(default=1 << 30, gt=0)
    max_expanded_bytes: int = Field(default=4 << 30, gt=0)  # what an upload may hold once it is read
    max_job_bytes: int = Field(default_factory=lambda: physical_memory_bytes() // 2, gt=0)  # what one worker may need
    min_free: int = Field(default=1 << 30, ge=0)  # bytes of a disk below which no upload and no checkpoint is written
    upload_time_limit_s: float = Field(default=300.0, gt=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("pool_max")
    @classmethod
    def _at_least_pool_min(cls, given: int | None, beside: ValidationInfo) -> int | None:
        least = beside.data.get("pool_min")
        if given is not None and least is not None and given < least:
            raise ValueError(f"it is less than DELTAQ_POOL_MIN, {least}")
        return given

    @field_validator("lease_s")
    @classmethod
    def _longer_than_a_beat(cls, given: float, beside: ValidationInfo) -> float:
        beat_s = beside.data.get("beat_s", 0.0)
        if given <= beat_s:
            raise ValueError(f"it must be longer than DELTAQ_BEAT_S, {beat_s:g}: each running job would lose its lease")
        return given

    @field_validator("data_dir", mode="before")
    @classmethod
    def _named(cls, given: object) -> object:
        if given == "":
            raise ValueError("it is empty; the present folder is written as .")
        return given

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _names(cls, given: object) -> object:
        """A JSON list, or names with commas between."""
        if not isinstance(given, str):
            return given
        if given.lstrip().startswith("["):
            return json.loads(given)
        return list(filter(None, map(str.strip, given.split(","))))

    @property
    def artifacts_url(self) -> str:
        """Where artifacts live: an fsspec URL."""
        return self.artifacts or (self.data_dir / "artifacts").absolute().as_uri()

    @property
    def cache_path(self) -> Path:
        """Where this node keeps the .npy files that its processes map."""
        return self.cache_dir or self.data_dir / "cache"


def physical_memory_bytes() -> int:
    """How much memory this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def load_settings(**flags: object) -> Settings:
    """The settings of this process: what the flags say, then `DELTAQ_*`, then the defaults.

    Raises: Misconfigured that names each variable, its value and what is allowed.
    """
    try:
        return Settings(**flags)  # type: ignore[arg-type]
    except ValidationError as error:
        refused = (
            f"DELTAQ_{_name(found['loc'])} is {found['input']!r}: {_words(found['msg'])}" for found in error.errors()
        )
        raise Misconfigured("; ".join(refused)) from None


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")


def _name(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location).upper()
