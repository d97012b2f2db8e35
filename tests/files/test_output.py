"""Output is whole or absent, whatever happens and whenever."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from irplan.errors import InputError, OutputError
from irplan.files import OutputFolder, atomic_path
from irplan.files.output import MANIFEST


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def write_output(out: Path, text: str = "one", name: str = "plan.txt") -> None:
    with OutputFolder(out) as folder:
        (folder / "figures").mkdir()
        (folder / "figures" / "a.png").write_text(text)
        (folder / name).write_text(text)


def fail_half_way(output: OutputFolder, error: BaseException) -> None:
    with output as folder:
        (folder / "half").write_text("x")
        raise error


class TestFolder:
    def test_appears_only_when_complete(self, tmp_path):
        out = tmp_path / "out"
        with OutputFolder(out) as folder:
            (folder / "a").write_text("x")
            assert not out.exists()
        assert names(out) == [MANIFEST, "a"]
        assert names(tmp_path) == ["out"]
        assert out.stat().st_mode & 0o777 == 0o777 & ~_umask()

    def test_parents_are_made_and_removed_again_on_failure(self, tmp_path):
        write_output(tmp_path / "x" / "y" / "out")
        with pytest.raises(ZeroDivisionError):
            fail_half_way(OutputFolder(tmp_path / "p" / "q" / "out"), ZeroDivisionError())
        assert names(tmp_path) == ["x"]

    @pytest.mark.parametrize("error", [InputError, KeyboardInterrupt, SystemExit, MemoryError])
    def test_any_exception_leaves_nothing_new_and_the_old_untouched(self, tmp_path, error):
        out = tmp_path / "out"
        write_output(out)
        what = error("f", got="", expected="", remedy="") if error is InputError else error()
        with pytest.raises(error):
            fail_half_way(OutputFolder(out), what)
        assert (out / "plan.txt").read_text() == "one"
        assert names(tmp_path) == ["out"]

    def test_an_older_output_is_replaced_as_a_whole(self, tmp_path):
        out = tmp_path / "out"
        write_output(out, "one", "old.txt")
        write_output(out, "two", "new.txt")
        assert names(out) == [MANIFEST, "figures", "new.txt"]
        assert names(tmp_path) == ["out"]

    def test_empty_folder_is_taken(self, tmp_path):
        (tmp_path / "out").mkdir()
        write_output(tmp_path / "out")
        assert (tmp_path / "out" / "plan.txt").exists()

    def test_check_leaves_nothing(self, tmp_path):
        OutputFolder.check(tmp_path / "a" / "b" / "out")
        assert names(tmp_path) == []
        write_output(tmp_path / "out")
        OutputFolder.check(tmp_path / "out")
        assert names(tmp_path) == ["out"]

    def test_foreign_files_are_never_deleted(self, tmp_path):
        out = tmp_path / "out"
        out.mkdir()
        (out / "thesis.doc").write_text("x")
        with pytest.raises(OutputError, match=r"thesis\.doc"):
            OutputFolder.check(out)
        ours = tmp_path / "ours"
        write_output(ours)
        (ours / "figures" / "my notes.txt").write_text("x")
        with pytest.raises(OutputError, match="my notes"):
            write_output(ours)
        assert (ours / "figures" / "my notes.txt").exists()

    def test_foreign_files_that_came_meanwhile(self, tmp_path):
        out = tmp_path / "out"

        def interfere() -> None:
            with OutputFolder(out) as folder:
                (folder / "a").write_text("x")
                out.mkdir()
                (out / "late").write_text("x")

        with pytest.raises(OutputError, match="late"):
            interfere()
        assert names(out) == ["late"]
        assert names(tmp_path) == ["out"]

    @pytest.mark.parametrize("state", ["reviewed", "accepted", "rejected"])
    def test_a_reviewed_plan_is_never_overwritten(self, tmp_path, state):
        out = tmp_path / "out"
        with OutputFolder(out, makes_plan=True) as folder:
            (folder / "plan.json").write_text(json.dumps({"review": {"state": "draft"}}))
        OutputFolder.check(out, makes_plan=True)
        # what is made from a plan never takes its place (`irplan verify case1 -o case1`)
        with pytest.raises(OutputError, match="holds a plan"):
            OutputFolder.check(out)
        (out / "plan.json").write_text(json.dumps({"review": {"state": state}}))
        with pytest.raises(OutputError, match=state):
            OutputFolder.check(out, makes_plan=True)
        (out / "plan.json").write_text("{")
        with pytest.raises(OutputError, match="unreadable"):
            OutputFolder.check(out, makes_plan=True)

    def test_a_hand_edited_manifest_cannot_reach_outside(self, tmp_path, monkeypatch):
        out = tmp_path / "out"
        write_output(out)
        (tmp_path / "precious").write_text("x")
        manifest = json.loads((out / MANIFEST).read_text())
        manifest["files"].append("../precious")
        (out / MANIFEST).write_text(json.dumps(manifest))
        monkeypatch.setattr("irplan.files.output._must_stage_inside", lambda path: True)
        write_output(out, "two")
        assert (tmp_path / "precious").exists()

    def test_a_mount_point_is_filled_from_inside(self, tmp_path, monkeypatch):
        """As for a volume mounted at /out: it cannot be renamed."""
        out = tmp_path / "out"
        write_output(out, "one", "old.txt")
        monkeypatch.setattr("irplan.files.output._must_stage_inside", lambda path: True)
        write_output(out, "two", "new.txt")
        assert names(out) == [MANIFEST, "figures", "new.txt"]
        assert (out / "figures" / "a.png").read_text() == "two"
        with pytest.raises(KeyboardInterrupt):
            fail_half_way(OutputFolder(out), KeyboardInterrupt())
        assert names(out) == [MANIFEST, "figures", "new.txt"]


class TestUnwritable:
    def test_a_file_is_in_the_way(self, tmp_path):
        (tmp_path / "f").write_text("x")
        with pytest.raises(OutputError, match="which is a file"):
            OutputFolder.check(tmp_path / "f")
        with pytest.raises(OutputError, match="runs through the file 'f'"):
            OutputFolder.check(tmp_path / "f" / "out")

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux /proc")
    def test_a_read_only_place_also_for_root(self):
        with pytest.raises(OutputError, match="cannot be written"):
            OutputFolder.check("/proc/irplan-out")
        with pytest.raises(OutputError, match="cannot be written"), atomic_path("/proc/plan.json"):
            pass

    def test_disk_full(self, tmp_path):
        with pytest.raises(OutputError, match="MB free"):
            OutputFolder.check(tmp_path / "a" / "out", need_bytes=10**18)
        assert names(tmp_path) == []

    def test_disk_full_while_writing(self, tmp_path):
        with pytest.raises(OutputError, match="no space left"):
            fail_half_way(
                OutputFolder(tmp_path / "out"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            )
        assert names(tmp_path) == []

    def test_strange_paths(self, tmp_path):
        with pytest.raises(OutputError):
            OutputFolder("a\0b").path  # noqa: B018
        with pytest.raises(OutputError):
            OutputFolder.check(tmp_path / ("n" * 300))


class TestKilled:
    def test_leftovers_of_a_killed_run_are_cleared(self, tmp_path):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        (tmp_path / f".out.irplan-tmp-{dead.pid}-0").mkdir()
        (tmp_path / f".out.irplan-tmp-{dead.pid}-0" / "half").write_text("x")
        (tmp_path / f".{dead.pid}.irplan-tmp-plan.json").write_text("half")
        write_output(tmp_path / "out")
        with atomic_path(tmp_path / "plan.json") as file:
            file.write_text("x")
        assert names(tmp_path) == ["out", "plan.json"]

    def test_a_living_run_is_left_alone(self, tmp_path):
        stage = tmp_path / f".out.irplan-tmp-{os.getppid()}-0"
        stage.mkdir()
        write_output(tmp_path / "out")
        assert stage.exists()

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(16, "busy")])
    def test_interrupted_between_the_two_renames(self, tmp_path, monkeypatch, error):
        """The older folder was set aside; it comes back at once."""
        out = tmp_path / "out"
        write_output(out)
        rename = Path.rename

        def interrupted(self, target):
            if ".irplan-tmp-" in self.name:
                raise error
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", interrupted)
        with pytest.raises((KeyboardInterrupt, OutputError)):
            write_output(out, "two")
        assert (out / "plan.txt").read_text() == "one"
        assert names(tmp_path) == ["out"]

    def test_killed_between_the_two_renames(self, tmp_path):
        write_output(tmp_path / "out")
        (tmp_path / "out").rename(tmp_path / ".out.irplan-old-1234")
        OutputFolder.check(tmp_path / "out")
        assert (tmp_path / "out" / "plan.txt").read_text() == "one"
        assert names(tmp_path) == ["out"]

    @pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
    @pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
    def test_a_process_stopped_while_writing(self, tmp_path, kind):
        out = tmp_path / "out"
        write_output(out)
        code = (
            "import sys, time\nfrom irplan.files.output import OutputFolder\n"
            "with OutputFolder(sys.argv[1]) as f:\n"
            "    (f / 'half').write_text('x'); print('ready', flush=True); time.sleep(60)\n"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert child.stdout is not None
        assert child.stdout.readline().strip() == b"ready"
        child.send_signal(kind)
        child.wait(10)
        child.stdout.close()
        assert (out / "plan.txt").read_text() == "one"
        if kind == signal.SIGINT:
            assert names(tmp_path) == ["out"]
        write_output(out, "two")
        assert (out / "plan.txt").read_text() == "two"
        assert names(tmp_path) == ["out"]


class TestFile:
    def test_replaced_in_one_step_or_not_at_all(self, tmp_path):
        file = tmp_path / "deep" / "a.nii.gz"
        with atomic_path(file) as temporary:
            assert temporary.name.endswith("a.nii.gz")
            temporary.write_text("one")

        def stop() -> None:
            with atomic_path(file) as temporary:
                temporary.write_text("half")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            stop()
        assert file.read_text() == "one"
        assert names(file.parent) == ["a.nii.gz"]

    def test_a_folder_is_in_the_way(self, tmp_path):
        with pytest.raises(OutputError, match="which is a folder"), atomic_path(tmp_path):
            pass


def _umask() -> int:
    old = os.umask(0)
    os.umask(old)
    return old
