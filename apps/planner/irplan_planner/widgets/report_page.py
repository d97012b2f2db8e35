"""The step Report."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QLineEdit

from irplan_planner.widgets import parts
from irplan_planner.widgets.page import Page


class ReportPage(Page):
    """The draft, the reader's note, review, export."""

    def build(self) -> None:
        self.main = parts.button(
            "Write draft report", self.do(self.planner.reports.draft), name="draft", primary=True
        )
        self.add(self.main)
        self._note = QLineEdit()
        self._note.setPlaceholderText("Your note in the report")
        self._note.setAccessibleName("Note in the report")
        self._note.editingFinished.connect(self._take_note)
        self._who, self._why = QLineEdit(), QLineEdit()
        self._who.setPlaceholderText("Your name")
        self._why.setPlaceholderText("Reason")
        for field, words in ((self._who, "Your name"), (self._why, "Reason")):
            field.setAccessibleName(words)
        self._reviewed = parts.button("Reviewed", self.do(lambda: self._review("reviewed")))
        self._accepted = parts.button("Accept", self.do(lambda: self._review("accepted")))
        self._who.textChanged.connect(self._named)
        self._rejected = parts.button("Reject", self.do(lambda: self._review("rejected")))
        self._again = parts.button("New draft of it", self.do(self._new_draft))
        self.add(
            self._note, self._who, self._why,
            parts.row(self._reviewed, self._accepted, self._rejected, stretch=(1, 1, 1)),
            self._again,
            parts.button("Report as files...", self._release,
                         tip="Page, text, PDF, FHIR; an accepted one may go to the PACS"),
            parts.button("Plan as files...", self._export,
                         tip="Plan, zones, figures and report, as irplan plan writes them"),
        )  # fmt: skip
        self._words = parts.muted()
        self.add(self._words)

    def _named(self, who: str) -> None:
        self.planner.reports.who = who

    def _take_note(self) -> None:
        text = self._note.text().strip()
        if text != self.planner.state.report_note and not self.desk.read_only:
            self.desk.attempt(lambda: self.planner.reports.note(text))

    def _review(self, review: Any) -> None:
        self.planner.plans.review(review, self._who.text(), self._why.text())
        if self.planner.state.report is not None and not self.desk.read_only:
            self.planner.reports.draft()

    def _new_draft(self) -> None:
        self.planner.plans.new_draft(self._why.text() or "to be changed")

    def _release(self) -> None:
        self.ask_new_folder("New folder for the report", self.planner.reports.release)

    def _export(self) -> None:
        self.ask_new_folder("New folder for the results", self.planner.reports.export)

    def refresh(self) -> None:
        state = self.planner.state
        found = state.simulation
        judged = found is not None and found.exact and found.evaluation is not None
        self.main.setEnabled(judged and not self.desk.read_only)
        review = state.review
        self._reviewed.setEnabled(judged and review == "draft")
        self._accepted.setEnabled(judged and review == "reviewed")
        self._rejected.setEnabled(state.plan is not None and review != "rejected")
        self._again.setVisible(review != "draft")
        if not self._note.hasFocus():
            self._note.setText(state.report_note)
        self._words.setText("" if state.plan is None else f"This plan is: {review}.")
