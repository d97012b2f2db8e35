"""Which processor computes: resolved once, recorded in every result, never a silent fallback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from irplan.errors import BackendError, InputError, MissingExtraError

BackendName = Literal["cpu", "cuda"]
BackendChoice = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Backend:
    """The processor that was chosen and why (both go into results and reports)."""

    name: BackendName
    reason: str


def resolve_backend(choice: str = "auto", *, cuda_twin: bool = True) -> Backend:
    """Turn ``"auto" | "cpu" | "cuda"`` into a `Backend`.

    ``cuda_twin`` says whether the calling solver has a CUDA kernel.  ``"cuda"`` raises
    `BackendError` or `MissingExtraError` when it cannot be met; ``"auto"`` takes CUDA where a
    device and a kernel exist, else the CPU, and says why.
    """
    if choice == "cpu":
        return Backend("cpu", "asked for")
    if choice not in ("auto", "cuda"):
        raise InputError(
            "backend",
            got=repr(choice),
            expected="'auto', 'cpu' or 'cuda'",
            remedy="Use 'auto' unless a certain processor is wanted.",
        )
    if not cuda_twin:
        if choice == "cuda":
            raise BackendError(
                "backend",
                got="'cuda'",
                expected="a solver with a CUDA kernel",
                remedy="This solver runs on the CPU only; use backend='cpu' or 'auto'.",
            )
        return Backend("cpu", "this solver has no CUDA kernel")
    problem = _cuda_problem()
    if problem is None:
        return Backend("cuda", "asked for" if choice == "cuda" else "a CUDA device was found")
    if choice == "auto":
        return Backend("cpu", problem)
    if problem == _NO_CUPY:
        raise MissingExtraError("backend 'cuda'", package="cupy", extra="cuda")
    raise BackendError(
        "backend",
        got="'cuda'",
        expected="a working CUDA device",
        remedy=f"{problem[0].upper()}{problem[1:]}; use backend='cpu' or 'auto'.",
    )


_NO_CUPY = "CuPy is not installed"


def _cuda_problem() -> str | None:
    try:
        import cupy  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return _NO_CUPY
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CUDA answered: {error}"
    return None if count > 0 else "no CUDA device was found"
