"""Exit codes, error output and help of the command line."""

import contextlib
import json
import signal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from irplan import RESEARCH_USE_ONLY, __version__, errors
from irplan.cli.app import app
from irplan.cli.console import command, exit_code

ARGS = {"got": "g", "expected": "e", "remedy": "r"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError("f", **ARGS), 2),
        (errors.GridMismatchError("f", **ARGS), 2),
        (errors.DicomError("f", **ARGS), 2),
        (errors.SegmentationError("f", **ARGS), 2),
        (errors.NoAdmissiblePathError("f", **ARGS), 3),
        (errors.PlanningError("f", **ARGS), 3),
        (errors.OutputError("f", **ARGS), 4),
        (errors.BackendError("f", **ARGS), 5),
        (errors.MissingExtraError("f", package="p", extra="x"), 5),
        (errors.CancelledError("f"), 130),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: errors.IrplanError, code: int) -> None:
    assert exit_code(error) == code


def test_no_admissible_path_is_told_rule_by_rule(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stop, command(quiet=True, as_json=True):
        raise errors.NoAdmissiblePathError(
            "paths", **ARGS, blocked_by=[("no bone", 12)], nearest_miss="1.5 mm too close to bone"
        )
    assert stop.value.exit_code == 3
    out, err = capsys.readouterr()
    told = json.loads(out)["error"]
    assert told["blocked_by"] == [{"rule": "no bone", "paths": 12}]
    assert told["nearest_miss"] == "1.5 mm too close to bone"
    assert "12 paths: no bone" in err
    assert "1.5 mm too close to bone" in err


def test_ctrl_c_says_that_nothing_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stop, command(quiet=False, as_json=False):
        raise KeyboardInterrupt
    assert stop.value.exit_code == 130
    assert "Nothing was written" in capsys.readouterr().err


def _interrupted(then: Exception) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    raise then


@pytest.mark.parametrize("error", [ImportError("initialization failed"), errors.InputError])
def test_what_comes_out_of_an_interrupted_import_is_cancelled(
    capsys: pytest.CaptureFixture[str], error: Exception | type[errors.InputError]
) -> None:
    """Compiled modules turn a Ctrl-C into errors of their own, with or without its cause."""
    raised = error if isinstance(error, Exception) else error("extra", **ARGS)
    with pytest.raises(typer.Exit) as stop, command(quiet=False, as_json=False):
        _interrupted(raised)
    assert stop.value.exit_code == 130
    assert "Nothing was written" in capsys.readouterr().err


def test_an_error_of_ours_without_an_interrupt_stays_a_fault() -> None:
    with pytest.raises(ImportError), command(quiet=False, as_json=False):
        raise ImportError("initialization failed")


def test_memory_error_is_an_input_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stop, command(quiet=False, as_json=False):
        raise MemoryError
    assert stop.value.exit_code == 2
    assert "4 GB" in capsys.readouterr().err


def test_help_teaches_and_warns() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for word in ("demo", "plan", "phantom", "info", "Exit codes", "LPS", "Research use only"):
        assert word in result.stdout
    for name in ("demo", "plan", "phantom", "info"):
        text = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout
        assert RESEARCH_USE_ONLY[:40] in text


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == f"irplan {__version__}"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--target-point", "1,2,3"],
        ["--target-diameter", "20"],
        ["--target-mask", "m.nii", "--target-point", "1,2,3", "--target-diameter", "20"],
    ],
)
def test_a_target_is_given_exactly_one_way(arguments: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["plan", "ct.nii", "-o", str(out), *arguments, "-q"])
    assert result.exit_code == 2
    assert "--target-mask M, or --target-point" in result.stderr
    assert not out.exists()


def test_words_from_a_file_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with command(quiet=False, as_json=False) as console:
        console.say("made by \x1b]0;owned\x07 Åsa\tX\u009b31m")
    assert capsys.readouterr().out == "made by ?]0;owned? Åsa\tX?31m\n"
    hostile = errors.InputError("f", got="\x1b[2J", expected="e", remedy="r")
    with pytest.raises(typer.Exit), command(quiet=False, as_json=False):
        raise hostile
    assert "\x1b" not in capsys.readouterr().err
