"""A fluoroscopy benchmark as JSON data."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from irplan.fluoroscopy.bench.recorded import RecordedBench
from irplan.fluoroscopy.bench.suite import BenchResult
from irplan.fluoroscopy.bench.summary import (
    demands,
    device_summary,
    dsa_demands,
    peer_comparisons,
    peer_demands,
)

_SCHEMA, _VERSION = "irplan-fluoro-bench", 1


def bench_to_data(result: BenchResult) -> dict[str, Any]:
    """All rows; numbers that are not finite become null; seconds are those of this machine."""
    own = [f.name for f in result.filters if f.name in result.request.filters]
    data = {
        "schema": _SCHEMA,
        "schema_version": _VERSION,
        "irplan_version": result.version,
        "request": asdict(result.request),
        "disc_seeds": list(result.disc_seeds),
        "scene_seeds": list(result.scene_seeds),
        "seconds": result.seconds,
        "filters": [asdict(f) for f in result.filters],
        "devices": [asdict(d) for d in result.devices],
        "device_summary": [asdict(s) for s in device_summary(result)],
        "cells": [asdict(c) for c in result.cells],
        "dose_factors": [asdict(f) for f in result.factors],
        "dsa": [asdict(r) for r in result.dsa],
        "dsa_demands": [asdict(d) for d in dsa_demands(result)],
        "peers": {name: [asdict(p) for p in peer_comparisons(result, name)] for name in own},
        "peer_demands": {name: [asdict(d) for d in peer_demands(result, name)] for name in own},
        "demands": {name: [asdict(d) for d in demands(result, name)] for name in own},
    }
    out: dict[str, Any] = _finite(data)
    return out


def recorded_to_data(result: RecordedBench) -> dict[str, Any]:
    """A recorded run's rows as JSON data."""
    out: dict[str, Any] = _finite(
        {"schema": _SCHEMA + "-recorded", "schema_version": _VERSION, **asdict(result)}
    )
    return out


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
