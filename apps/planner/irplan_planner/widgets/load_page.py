"""The step Load."""

from __future__ import annotations

from functools import partial

from PySide6.QtWidgets import QLabel, QLineEdit, QVBoxLayout

from irplan_planner.model import case_folder
from irplan_planner.model.opening import SAMPLES
from irplan_planner.widgets import parts
from irplan_planner.widgets.page import Page


class LoadPage(Page):
    """Open a CT, a case, a sample; recent cases; recovery."""

    def build(self) -> None:
        self.main = parts.button("Open CT folder or case...", self._folder, primary=True)
        self.add(self.main, parts.button("Open NIfTI or DICOM file...", self._file))
        self.add(QLabel("Samples (generated, no patient)"))
        for name, sample in SAMPLES.items():
            self.add(
                parts.button(
                    sample.title, self.do(partial(self.planner.files.sample, name)),
                    name=f"sample-{name}",
                )
            )  # fmt: skip
        self._recent = QVBoxLayout()
        self._recent.setSpacing(4)
        self.column.addLayout(self._recent)
        self.add(parts.muted("Or drop a folder or file on the window."))
        self.add(QLabel("From a PACS"))
        self._peer, self._patient = QLineEdit(self.planner.pacs.address), QLineEdit()
        for field, words in (
            (self._peer, "dicom://PACS@host:104 or https://..."), (self._patient, "Patient ID")
        ):  # fmt: skip
            field.setPlaceholderText(words)
            field.setAccessibleName(words)
        self._patient.returnPressed.connect(self.do(self._search))
        self.add(self._peer, self._patient, parts.button("Find CT series", self.do(self._search)))
        self._series = QVBoxLayout()
        self._series.setSpacing(4)
        self.column.addLayout(self._series)
        self._found: object = ()
        self.refresh()

    def _search(self) -> None:
        self.planner.pacs.search(self._peer.text(), self._patient.text())

    def refresh(self) -> None:
        found = self.planner.pacs.found
        if found is not self._found:
            self._found = found
            parts.clear(self._series)
            for one in found:
                get = self.do(partial(self.planner.pacs.retrieve, one))
                self._series.addWidget(parts.button(one.words, get, tip=one.series_uid))
        parts.clear(self._recent)
        for path in case_folder.unsaved_cases()[:3]:
            words = "Recover a case that was not saved"
            self._recent.addWidget(
                parts.button(words, self.do(partial(self.planner.files.recover, path)))
            )
        recent = case_folder.recent_cases()[:5]
        if recent:
            self._recent.addWidget(QLabel("Recent"))
        for path in recent:
            self._recent.addWidget(
                parts.button(
                    path.name, self.do(partial(self.planner.files.open, path)), tip=str(path)
                )
            )

    def _folder(self) -> None:
        self.ask_file("CT folder or saved case", self.planner.files.open, folder=True)

    def _file(self) -> None:
        self.ask_file("NIfTI or DICOM file", self.planner.files.open)
