"""The task ``module:function``: any Python function of a case and the factors' values."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from irplan.errors import InputError, IrplanError
from irplan.studies.factor import Factor
from irplan.studies.study import Case, Outputs, Parameters

#: Largest whole number of a column (the tables hold 64 bits).
_MOST_WHOLE = 10**18


@dataclass(frozen=True)
class PythonTask:
    """``function(source, **values)`` of a module or of a file, which returns named numbers or text.

    ``module`` is a dotted name, or the path of a .py file; its text is part of what results
    depend on (what it imports is not).  A source that is a file or folder counts by its name and
    what it holds, not by where it lies: a study may be moved with its folder.  A function
    ``check_NAME`` of the same arguments, where
    there is one, is tried on the factors' ends before anything is computed.
    """

    module: str
    function: str

    @property
    def name(self) -> str:
        """In a few words."""
        return f"{Path(self.module).stem}:{self.function}"

    def content(self, case: Case) -> str:
        """Digest of the module's file, the function's name, and the source or what it holds."""
        code = getattr(_module(self.module), "__file__", None)
        digest = hashlib.sha256(f"python {self.function}\n".encode())
        if code:
            digest.update(Path(code).read_bytes())
        files = _files(case.source)
        digest.update((Path(case.source).name if files else case.source).encode())
        for name, file in files:
            digest.update(f"\n{name}\n{file.stat().st_size}\n".encode())
            with file.open("rb") as held:
                while part := held.read(1 << 20):
                    digest.update(part)
        return digest.hexdigest()

    def check(self, case: Case, factors: tuple[Factor, ...], parameters: Parameters) -> None:
        """Find the function; call its ``check_`` where there is one."""
        del factors
        function = self._function(self.function)
        try:
            inspect.signature(function).bind(case.source, **parameters)
        except TypeError as error:
            raise InputError(
                "task", got=f"'{self.function}', which cannot take the factors ({error})",
                expected=f"{self.function}(source, {', '.join(parameters)})",
                remedy="Name its arguments like the factors.",
            ) from error  # fmt: skip
        except ValueError:
            pass  # a built-in that does not tell its arguments
        check = getattr(_module(self.module), f"check_{self.function}", None)
        if check is not None:
            try:
                check(case.source, **parameters)
            except IrplanError:
                raise
            except Exception as error:
                raise InputError(
                    f"check_{self.function}", got=f"{type(error).__name__}: {error}"[:200],
                    expected="values that it lets pass", remedy="Change the factor, or mend it.",
                ) from error  # fmt: skip

    def compute(self, case: Case, factors: tuple[Factor, ...], parameters: Parameters) -> Outputs:
        """What the function returns, numbers as Python's."""
        del factors
        found = self._function(self.function)(case.source, **parameters)
        if not isinstance(found, Mapping):
            raise InputError(
                f"task {self.name}", got=f"a result of type {type(found).__name__}",
                expected="a mapping of column name to number or text",
                remedy='For example return {"margin_mm": 5.2}.',
            )  # fmt: skip
        return {str(k): _plain(self.name, str(k), v) for k, v in found.items()}

    def _function(self, name: str) -> Callable[..., Any]:
        found = getattr(_module(self.module), name, None)
        if not callable(found):
            raise InputError(
                "task", got=f"no function '{name}' in '{self.module}'",
                expected="module:function or file.py:function", remedy="Check the name.",
            )  # fmt: skip
        return found  # type: ignore[no-any-return]


def _files(source: str) -> list[tuple[str, Path]]:
    """The file that ``source`` names, or those below the folder it names, with relative names."""
    path = Path(source)
    with suppress(OSError, ValueError):  # a source may be text that no path can be
        if path.is_file():
            return [(path.name, path)]
        if path.is_dir():
            below = sorted(p for p in path.rglob("*") if p.is_file())
            return [(p.relative_to(path).as_posix(), p) for p in below]
    return []


def _plain(task: str, column: str, value: Any) -> float | int | str | bool | None:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        if -_MOST_WHOLE <= value <= _MOST_WHOLE:
            return value
        raise InputError(
            f"task {task}, column {column}", got="a whole number of more than 18 digits",
            expected="a smaller one, a float or text", remedy="Return float(value) or str(value).",
        )  # fmt: skip
    raise InputError(
        f"task {task}, column {column}", got=f"a {type(value).__name__}",
        expected="a number, text, true, false or None", remedy="Return one value a column.",
    )  # fmt: skip


@lru_cache(maxsize=16)
def _module(name: str) -> Any:
    if not name.endswith(".py"):
        try:
            return importlib.import_module(name)
        except Exception as error:  # whatever the module does when it is imported
            raise InputError(
                "task", got=f"a module '{name}' that cannot be imported ({error})"[:200],
                expected="module:function or file.py:function",
                remedy="Check the name; a file is given by its path with .py.",
            ) from error  # fmt: skip
    path = Path(name).resolve()
    if not path.is_file():
        raise InputError(
            "task", got=f"no file '{path.name}'", expected="file.py:function",
            remedy="The path starts at the study file's folder.",
        )  # fmt: skip
    label = f"_irplan_study_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(label, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[label] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[label]
        raise InputError(
            "task", got=f"'{path.name}' fails: {type(error).__name__}: {error}"[:200],
            expected="a Python file that can be imported", remedy="Mend it, then run again.",
        ) from error  # fmt: skip
    return module
