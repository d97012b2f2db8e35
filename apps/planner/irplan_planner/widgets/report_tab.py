"""The draft report as it is read and filled in: what is typed becomes an event of the log."""

from __future__ import annotations

from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QTextBrowser, QVBoxLayout, QWidget

from irplan_planner.model.planner import Planner
from irplan_planner.model.reporting import shown_html
from irplan_planner.model.typed_fields import Blank
from irplan_planner.widgets import parts


class ReportTab(QWidget):
    """The page; below it one field to type, chosen by its link in the page or from the list."""

    def __init__(self, planner: Planner) -> None:
        super().__init__()
        self.planner = planner
        self.page = QTextBrowser()
        self.page.setOpenLinks(False)
        self.page.setAccessibleName("Draft report")
        self.page.anchorClicked.connect(self._link)
        self.fields = QComboBox()
        self.fields.setAccessibleName("Field of the report")
        self.fields.setMinimumContentsLength(14)
        self.fields.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.fields.activated.connect(lambda _: self._chosen())
        self.value = QComboBox()
        self.value.setEditable(True)
        self.value.setAccessibleName("Value")
        typed = self.value.lineEdit()
        if typed is not None:
            typed.returnPressed.connect(self._put)
        self.why = QLineEdit()
        self.why.setPlaceholderText("Why it is corrected")
        self.why.setAccessibleName("Why it is corrected")
        self.put = parts.button("Put in", self._put, name="put-in",
                                tip="An event of the log: corrected, never undone")  # fmt: skip
        self.note = parts.muted("Press 'type in' beside a field.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.setSpacing(4)
        self._bar = QWidget()
        bar = parts.column(
            parts.row(QLabel("Field"), self.fields, stretch=(0, 1)),
            parts.row(self.value, self.why, self.put, stretch=(2, 2, 0)),
            self.note,
        )
        self._bar.setLayout(bar)
        layout.addWidget(self.page, 1)
        layout.addWidget(self._bar)
        self._of: object = self
        self._blanks: tuple[Blank, ...] = ()
        self.refresh()

    def toPlainText(self) -> str:
        """The words of the page."""
        return str(self.page.toPlainText())

    def refresh(self) -> None:
        """After a change of the case."""
        report = self.planner.state.report
        writable = not self.planner.desk.read_only
        if report is not self._of:
            self._of = report
            lacking = "<p>No draft yet: take the step Report and press Write draft report.</p>"
            where = self.page.verticalScrollBar().value()
            self.page.setHtml(lacking if report is None else shown_html(report))
            self.page.verticalScrollBar().setValue(where)
            self._fill()
        self._bar.setVisible(bool(self._blanks) and writable)

    def _fill(self) -> None:
        now = self.current()
        self._blanks = self.planner.reports.blanks()
        self.fields.clear()
        for b in self._blanks:
            self.fields.addItem(f"{'* ' if b.missing and b.mandatory else ''}{b.words}", b)
        keep = next((n for n, b in enumerate(self._blanks) if now and b.link == now.link), 0)
        if now is not None and self._blanks and not self._blanks[keep].missing:
            keep = 0  # done: on to what lacks
        self.fields.setCurrentIndex(keep)
        self._chosen()

    def current(self) -> Blank | None:
        """The field that would be typed."""
        found = self.fields.currentData()
        return found if isinstance(found, Blank) else None

    def _chosen(self) -> None:
        blank = self.current()
        if blank is None:
            return
        self.value.clear()
        self.value.addItems(list(blank.choices))
        self.value.setEditText(blank.value if blank.event is not None else "")
        self.why.clear()
        self.why.setVisible(blank.event is not None)
        words = "Corrects event " + str(blank.event) if blank.event is not None else (
            "Must not lack" if blank.mandatory and blank.missing else ""
        )  # fmt: skip
        hint = blank.hint if not blank.choices else f"one of {', '.join(blank.choices)}"
        if blank.section == "complications":
            hint += ", or what was seen in your own words"
        self.note.setText(". ".join(x for x in (words, hint[:1].upper() + hint[1:]) if x))

    def _link(self, address: QUrl) -> None:
        wanted = "type:" + address.path(QUrl.ComponentFormattingOption.FullyDecoded)
        for n, blank in enumerate(self._blanks):
            if blank.link == wanted:
                self.fields.setCurrentIndex(n)
                self._chosen()
                self.value.setFocus()
                return

    def _put(self) -> None:
        blank = self.current()
        if blank is not None:
            text, why = self.value.currentText(), self.why.text()
            self.planner.desk.attempt(lambda: self.planner.reports.type_in(blank, text, why))
