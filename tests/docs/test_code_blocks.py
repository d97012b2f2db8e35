"""Every code block of README and docs is run: Python here, TOML by its reader, commands in order.

Commands run page by page in a folder that holds the files they name (`tests.docs.world`): the cheap
ones in every test run, all of them with ``pytest -m docs_slow`` (minutes), on the same inputs from
a coarser phantom (4 x 1.6 x 1.6 mm).  What is run elsewhere, and where, is in `tests.docs.shell`.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from irplan_gateway.config import load_config

from irplan.cli.app import app
from irplan.files.device_csv import read_device_map
from irplan.files.onnx_model import read_manifest
from irplan.files.system_file import read_system
from irplan.planning.robustness_uncertainty import uncertainty_from_mapping
from irplan.studies import read_study
from tests.docs.shell import Step, run, steps
from tests.docs.world import MAKERS, Inputs

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    p
    for p in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "examples/README.md"]
    if "_build" not in p.parts and "generated" not in p.parts
)
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.M | re.S)
#: Words that may begin a line of a shell block besides irplan's own commands.
_OTHERS = {
    "python", "python3", "pip", "cd", "dask", "CUDA_VISIBLE_DEVICES=0", ".venv/bin/pip", "apt-get",
    "git", "pytest", ".ci/run", "xvfb-run", "curl", "sudo", "dciodvfy", "storescu", "Orthanc",
    ".venv/bin/pytest", ".venv/bin/ruff", ".venv/bin/mypy", ".venv/bin/lint-imports",
}  # fmt: skip


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(kind: str) -> list[pytest.param]:  # type: ignore[valid-type]
    out = []
    for page in PAGES:
        text = _text(page)
        for match in _FENCE.finditer(text):
            if match[0].startswith("```{"):
                continue  # a directive of the site
            if match[1] in ({"": {"", "bash", "sh", "console"}}.get(kind) or {kind}):
                name = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
                out.append(pytest.param(match[2], id=name))
    return out


def irplan_calls(block: str) -> list[list[str]]:
    """Arguments of every call of irplan in a shell block."""
    calls = []
    for line in block.replace("\\\n", " ").splitlines():
        text = line.strip().removeprefix("$ ")
        lexer = shlex.shlex(text, posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words = list(lexer)
        part: list[str] = []
        for word in [*words, "&&"]:
            if set(word) <= set("&|;<>"):
                if part and Path(part[0]).name == "irplan":
                    calls.append(part[1:])
                part = []
            else:
                part.append(word)
    return calls


@pytest.mark.parametrize("block", blocks(""))
def test_commands_are_as_written(block: str) -> None:
    root = typer.main.get_command(app)
    for words in irplan_calls(block):
        command, name, rest = root, "irplan", list(words)
        if not rest or rest[-1] in ("--help", "-h", "--version", "..."):
            continue
        while hasattr(command, "commands"):
            found = command.commands.get(rest[0]) if rest else None
            assert found is not None, f"no command '{rest[:1]}' in irplan {' '.join(words)}"
            command, name, rest = found, f"{name} {rest[0]}", rest[1:]
        try:
            command.make_context(name, rest)
        except Exception as error:
            raise AssertionError(f"irplan {' '.join(words)}: {error}") from error


def toml_blocks() -> list[Any]:
    return [pytest.param(p.id.split(":")[0], *p.values, id=p.id) for p in blocks("toml")]


@pytest.mark.parametrize(("page", "block"), toml_blocks())
def test_toml_is_read_by_what_it_is_for(page: str, block: str, tmp_path: Path) -> None:
    file = tmp_path / "printed.toml"
    file.write_text(block, encoding="utf-8")
    if page == "docs/gateway.md":
        assert load_config(file).rules
    elif page == "docs/guidance.md":
        assert read_system(file).name == "room 4"
    elif page == "docs/plans.md":
        assert uncertainty_from_mapping(tomllib.loads(block), name="x").registration_mm == 2.6
    elif page == "docs/procedure.md":
        assert read_device_map(file).rules
    elif page == "docs/segment.md":
        (tmp_path / "tiny.onnx").write_bytes(b"a network")
        assert read_manifest(file).network.labels
    elif page == "docs/studies.md":
        problem = ROOT / "examples" / "perfusion_and_vessel.problem.toml"
        (tmp_path / "problem.toml").write_bytes(problem.read_bytes())
        study = read_study(file)
        study.check()
        assert len(study) == 64 * 4 or len(study) == 64 * (len(study.factors) + 2)
    else:
        assert page == "docs/simulate.md"  # a reference key by key; its examples run as commands
        tomllib.loads(block)


@pytest.fixture(scope="module")
def whole_chain() -> dict[str, Any]:
    """Names that the README's first Python block makes (patient, target, abdomen, case)."""
    first = next(m[2] for m in _FENCE.finditer(_text(ROOT / "README.md")) if m[1] == "python")
    names: dict[str, Any] = {"__name__": "documentation"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(first, "<README>", "exec"), names)
    return names


@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs(
    block: str, whole_chain: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of its own with the examples beside it, after the README's first block."""
    if block.startswith("from irplan.phantom import TumourSpec, abdominal_ct\n"):
        assert whole_chain["case"].evaluation.minimal_margin_mm > 0
        return
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    code = compile(block, "<documentation>", "exec")
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, dict(whole_chain))


def pages_with_commands() -> list[Any]:
    found: dict[str, list[str]] = {}
    for parameter in blocks(""):
        found.setdefault(parameter.id.split(":")[0], []).extend(parameter.values)
    return [pytest.param(k, [s for b in v for s in steps(b)], id=k) for k, v in found.items()]


def named(page: str, found: list[Step]) -> list[str]:
    """The inputs of `MAKERS` that the commands name and none of them makes before."""
    text = " ".join(" ".join(s.words) for s in found).replace("/", " / ")
    words = set(text.split())
    names = [n for n in MAKERS if n.split("/")[0] in words]
    made = {o for s in found for o in s.makes}
    if "mymodule:" in text:
        names.append("mymodule.py")
    if page == "docs/report.md":
        names = ["logged/case1"]
    return [n for n in names if n not in made and (n != "examples" or "examples" in words)]


def walk(page: str, found: list[Step], inputs: Inputs, *, all_of_them: bool) -> None:
    """Run the commands in the present folder, in order; whatever fails is in the message."""
    wanted = [s for s in found if s.elsewhere is None]
    if not all_of_them:
        left_out = {o for s in wanted if not s.cheap for o in s.makes} - set(MAKERS)
        wanted = [s for s in wanted if s.cheap and not (s.uses & left_out)]
    if not wanted:
        pytest.skip("nothing on this page is cheap" if not all_of_them else "all run elsewhere")
    inputs.provide(named(page, found if all_of_them else wanted), Path())
    if Path("logged").is_dir():
        Path("logged/case1").rename("case1")
    wrong = []
    for step in wanted:
        code, said = run(step)
        if code not in EXPECTED.get(step.text, {0}) or "Traceback" in said:
            wrong.append(f"{step.text}\nexit code {code}\n{said[-1500:]}")
    assert not wrong, "\n\n".join(wrong)


#: Commands that answer with another code, and why that is the right answer.
EXPECTED: dict[str, set[int]] = {}


@pytest.fixture(scope="module")
def planned(whole_chain: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Inputs from the README's patient and plan."""
    patient, case = whole_chain["patient"], whole_chain["case"]
    return Inputs(tmp_path_factory.mktemp("store"), patient.volume, patient.labels, case)


@pytest.mark.filterwarnings("ignore")  # a page's commands meet what users' files hold
@pytest.mark.parametrize(("page", "found"), pages_with_commands())
def test_cheap_commands_run(
    page: str, found: list[Step], planned: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    walk(page, found, planned, all_of_them=False)
