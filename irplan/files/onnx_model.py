"""An ONNX segmentation model with its manifest (TOML): read, checked, run by ONNX Runtime."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import FileFormatError, InputError, MissingExtraError
from irplan.files.toml_table import TomlTable, load_toml, require_schema
from irplan.image.volume import Volume
from irplan.segmentation.outside import (
    ModelEnvelope,
    ModelIdentity,
    OutsideSegmentation,
    ScanFacts,
    envelope_rows,
    refuse_errors,
)
from irplan.segmentation.outside_network import F32, NetworkSpec, run_network

MODEL_SCHEMA = "irplan-onnx-model"
MODEL_SCHEMA_VERSION = 1

Layout = Literal["NCDHW", "NDHWC", "DHW"]
_LAYOUTS: tuple[Layout, ...] = ("NCDHW", "NDHWC", "DHW")
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


@dataclass(frozen=True)
class ModelManifest:
    """What a manifest says: identity, network, envelope, layout of tensors, the model's file."""

    identity: ModelIdentity
    network: NetworkSpec
    envelope: ModelEnvelope
    layout: Layout
    file: Path


def read_manifest(path: str | Path) -> ModelManifest:
    """Read and check a manifest; the model's own file is only looked for.

    Raises `FileFormatError` naming key and remedy, also where the model is absent or its SHA-256
    is not the one the manifest states.
    """
    root = load_toml(path, what="model manifest")
    require_schema(root, MODEL_SCHEMA, MODEL_SCHEMA_VERSION)
    root.only(
        "schema", "schema_version", "name", "version", "file", "sha256", "licence", "citation",
        "input", "patch", "output", "envelope",
    )  # fmt: skip
    file = Path(path).parent / str(root.text("file"))
    digest = _digest(root, file)
    return ModelManifest(
        ModelIdentity(
            root.text("name"),
            root.text("version"),
            digest,
            root.text("licence"),
            root.text("citation", ""),
        ),
        _network(root),
        _envelope(root.table("envelope")),
        root.table("input", required=True).text("layout", "NCDHW", choices=_LAYOUTS),
        file,
    )


def _digest(root: TomlTable, file: Path) -> str:
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise root.wrong(
            "file",
            f"'{file.name}', which cannot be read ({(error.strerror or 'unknown').lower()})",
            "the ONNX model, beside the manifest",
            "Put the model there; irplan downloads none.",
        ) from error
    stated = str(root.text("sha256", digest)).lower()
    if stated != digest:
        raise root.wrong(
            "sha256",
            f"{stated[:12]}..., but '{file.name}' has {digest[:12]}...",
            "the SHA-256 of the model's file",
            "It is another model than the one the manifest was written for.",
        )
    return digest


def _network(root: TomlTable) -> NetworkSpec:
    given, patch = root.table("input", required=True), root.table("patch")
    output = root.table("output", required=True)
    given.only("axes", "spacing_mm", "window_hu", "subtract", "divide", "layout", "multiple")
    patch.only("size", "overlap")
    output.only("kind", "threshold", "labels")
    table = output.table("labels", required=True)
    labels = []
    for key in table.data:
        if not key.isdecimal():
            raise table.wrong(key, repr(key), "a class number", 'Write 1 = "liver".')
        labels.append((int(key), str(table.text(key))))
    size = patch.numbers("size", 3, None, words="three voxel counts in the order of axes")
    axes = given.data.get("axes")
    if not isinstance(axes, list) or not all(isinstance(a, str) for a in axes):
        raise given.wrong(
            "axes", repr(axes), "three directions", 'For example axes = ["head", "back", "left"].'
        )
    with root.located():
        return NetworkSpec(
            axes=tuple(axes),
            spacing_mm=given.numbers("spacing_mm", 3, words="three spacings, mm, as axes"),
            window_hu=given.numbers("window_hu", 2, words="[low, high] in HU"),
            labels=tuple(labels),
            subtract=given.number("subtract", 0.0),
            divide=given.number("divide", 1.0),
            output=output.text("kind", choices=("logits", "probabilities", "sigmoid", "labels")),
            threshold=output.number("threshold", 0.5),
            patch=None if size is None else tuple(int(n) for n in size),  # type: ignore[arg-type]
            overlap=patch.number("overlap", 0.5, low=0.0, high=0.9),
            multiple=given.whole("multiple", 1, low=1, high=512),
        )


def _envelope(table: TomlTable) -> ModelEnvelope:
    table.only("slice_mm", "pixel_mm", "field_mm", "phases", "kernels", "refuse")
    words = {}
    for name in ("phases", "kernels"):
        value = table.data.get(name, [])
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise table.wrong(name, repr(value), "a list of words", f'{name} = ["portal"]')
        words[name] = tuple(value)
    return ModelEnvelope(
        slice_mm=table.numbers("slice_mm", 2, None, words="[least, most] in mm"),
        pixel_mm=table.numbers("pixel_mm", 2, None, words="[least, most] in mm"),
        field_mm=table.numbers("field_mm", 3, None, words="[left-right, front-back, head-feet]"),
        refuse=table.flag("refuse", False),
        **words,
    )


class OnnxModel:
    """The model of a manifest, ready to run on the processor.

    Raises `MissingExtraError` without the extra ``ai``, `FileFormatError` for a model that ONNX
    Runtime cannot load or that has several inputs.
    """

    def __init__(self, manifest: ModelManifest) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError(
                f"the ONNX model '{manifest.identity.name}'", package="onnxruntime", extra="ai"
            ) from error
        self._manifest = manifest
        self._errors = _runtime_errors()
        self._version = str(onnxruntime.__version__)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                str(manifest.file), options, providers=["CPUExecutionProvider"]
            )
        except self._errors as error:
            raise FileFormatError(
                f"model '{manifest.file.name}'",
                got=f"a file that ONNX Runtime cannot load ({_first_line(error)})",
                expected="an ONNX model of one image input",
                remedy="Export the model again, with operators this ONNX Runtime knows.",
            ) from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES:
            raise FileFormatError(
                f"model '{manifest.file.name}'",
                got=f"inputs {[(i.name, i.type) for i in inputs]}",
                expected="one floating-point input",
                remedy="Export the network alone, with the image as its only input.",
            )
        self._input, self._type = inputs[0].name, _TYPES[inputs[0].type]

    @classmethod
    def from_file(cls, path: str | Path) -> OnnxModel:
        """The model of the manifest at ``path``."""
        return cls(read_manifest(path))

    @property
    def identity(self) -> ModelIdentity:
        """Which model this is."""
        return self._manifest.identity

    def segment(
        self,
        volume: Volume,
        *,
        facts: ScanFacts | None = None,
        progress: Progress = no_progress,
    ) -> OutsideSegmentation:
        """Label ``volume``; see `irplan.segmentation.outside_network.run_network`."""
        started = time.perf_counter()
        rows = envelope_rows(volume, self._manifest.envelope, facts)
        warnings = refuse_errors(rows, self.identity)
        labels = run_network(
            volume, self._manifest.network, self._predict, progress=portion(progress, 0.0, 1.0)
        )
        network = self._manifest.network
        options = (
            ("runtime", f"onnxruntime {self._version}, CPU"),
            ("spacing_mm", " x ".join(f"{v:g}" for v in network.spacing_mm)),
            ("axes", ", ".join(network.axes)),
            ("patch", "whole image" if network.patch is None else str(list(network.patch))),
            ("overlap", f"{network.overlap:g}"),
        )
        return OutsideSegmentation(
            labels, self.identity, rows, warnings, options, (), time.perf_counter() - started
        )

    def _predict(self, patch: F32) -> NDArray[Any]:
        layout = self._manifest.layout
        tensor = patch.astype(self._type, copy=False)
        if layout == "NCDHW":
            tensor = tensor[None, None]
        elif layout == "NDHWC":
            tensor = tensor[None, ..., None]
        try:
            answer = np.asarray(self._session.run(None, {self._input: tensor})[0])
        except self._errors as error:
            raise InputError(
                f"model '{self.identity.name}'",
                got=f"an answer of ONNX Runtime: {_first_line(error)}",
                expected=f"a model that takes {layout} of shape {tensor.shape}",
                remedy="Check layout and patch size of the manifest against the model.",
            ) from error
        if layout != "DHW" and answer.ndim in (4, 5) and answer.shape[0] == 1:
            answer = answer[0]
        if layout == "NDHWC" and answer.ndim == 4:
            answer = np.moveaxis(answer, -1, 0)
        if self._manifest.network.output == "labels" and answer.ndim == 4 and len(answer) == 1:
            answer = answer[0]
        return answer


def _runtime_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = (
        "Fail", "InvalidArgument", "NoSuchFile", "NoModel", "EngineError", "RuntimeException",
        "InvalidProtobuf", "NotImplemented", "InvalidGraph", "EPFail",
    )  # fmt: skip
    return (RuntimeError, ValueError, *(getattr(state, n) for n in names if hasattr(state, n)))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
