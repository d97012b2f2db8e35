"""What came out: verdict rows, plans side by side, the draft report, messages."""

from __future__ import annotations

import html

from PySide6.QtWidgets import QLineEdit, QTabWidget, QTextBrowser, QVBoxLayout, QWidget

from irplan_planner.model.planner import Planner
from irplan_planner.model.reporting import rows_html
from irplan_planner.widgets import parts, theme
from irplan_planner.widgets.preview_view import PreviewView
from irplan_planner.widgets.report_tab import ReportTab
from irplan_planner.widgets.scene import SharedScene
from irplan_planner.widgets.simulate_page import coverage_words

_TONES = {"plain": theme.INK, "good": theme.GOOD, "warning": theme.WARN, "error": theme.BAD}


class Results(QTabWidget):
    """Tabs: Verdict, Plans, Report, C-arm, Messages."""

    def __init__(self, scene: SharedScene) -> None:
        super().__init__()
        self.planner = planner = scene.planner
        self.setObjectName("results")
        self.verdict, self.messages = QTextBrowser(), QTextBrowser()
        self.report = ReportTab(planner)
        self.plans = PlansTab(planner)
        self.c_arm = PreviewView(scene)
        for name, widget in (
            ("Verdict", self.verdict), ("Plans", self.plans), ("Report", self.report),
            ("C-arm", self.c_arm), ("Messages", self.messages),
        ):  # fmt: skip
            self.addTab(widget, name)
            widget.setAccessibleName(name)
        self._verdict_of: object = None

    def refresh(self) -> None:
        """After a change of the case."""
        self.show_verdict()
        self.c_arm.update()
        self.report.refresh()
        self.plans.refresh()

    def show_verdict(self) -> None:
        """Margins and rows of the plan, or of the needle in hand."""
        planner = self.planner
        found, state = planner.desk.simulation, planner.state
        words = "" if found is None else found.provenance(planner.desk.placements)
        key = (found, words, coverage_words(planner), state.plan)
        if key == self._verdict_of:
            return
        self._verdict_of = key
        if found is None or state.plan is None:
            lacks = "No plan yet." if state.plan is None else "The plan is not simulated yet."
            self.verdict.setHtml(f"<p>{lacks}</p>")
            return
        if found.evaluation is not None and found.placements == planner.desk.placements:
            rows = found.evaluation.rows
        else:
            rows = planner.edit.live_rows(found)
        colour = theme.GOOD if found.minimal_margin_mm >= state.plan.margin_goal_mm else (
            theme.WARN if found.minimal_margin_mm >= 0 else theme.BAD
        )  # fmt: skip
        head = (
            f"<p style='font-size:large'>Smallest margin <b style='color:{colour}'>"
            f"{found.minimal_margin_mm:.1f} mm</b> of {state.plan.margin_goal_mm:g} mm"
            f"<br>zone {found.zone_ml:.1f} ml, target {100 * found.target_share:.1f} % covered</p>"
        )
        bar = self.verdict.verticalScrollBar().value()
        sure = html.escape(coverage_words(planner))
        note = f"<p style='color:{theme.WARN}'>{html.escape(words)}</p>" if words else ""
        self.verdict.setHtml(head + note + (f"<p>{sure}</p>" if sure else "") + rows_html(rows))
        self.verdict.verticalScrollBar().setValue(bar)

    def show_messages(self) -> None:
        """All lines so far, the newest first."""
        lines = []
        for m in reversed(self.planner.desk.messages):
            remedy = f"<br><i>{html.escape(m.remedy)}</i>" if m.remedy else ""
            lines.append(f"<p style='color:{_TONES[m.tone]}'>{html.escape(m.text)}{remedy}</p>")
        self.messages.setHtml("".join(lines) or "<p>Nothing yet.</p>")


class PlansTab(QWidget):
    """Ranked plans; two side by side; one chosen with a reason."""

    def __init__(self, planner: Planner) -> None:
        super().__init__()
        self.planner = planner
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        self.table = parts.table(
            ("", "Best at", "Needles", "Margin", "Covered", "Healthy", "Path cost")
        )
        self.table.setAccessibleName("Plans")
        self.table.itemSelectionChanged.connect(self._compare)
        self.why = QLineEdit()
        self.why.setPlaceholderText("Why this plan?")
        self.why.setAccessibleName("Why this plan")
        self.take = parts.button("Take this plan", self._take, name="take-plan")
        self.beside = QTextBrowser()
        self.beside.setAccessibleName("Chosen plan beside the selected one")
        layout.addWidget(self.table, 2)
        layout.addWidget(parts.row(self.why, self.take, stretch=(1, 0)))
        layout.addWidget(self.beside, 3)
        self._shown: object = None

    def refresh(self) -> None:
        """After a change of the case."""
        state, plans = self.planner.state, self.planner.plans.alternatives()
        key = (state.planned, state.kept, state.chosen, state.chosen_why, state.plan)
        if key == self._shown:
            return
        self._shown = key
        rows = []
        for n, one in enumerate(plans):
            rows.append((
                "✓" if n == state.chosen else str(n + 1), ", ".join(one.names),
                str(len(one.plan.placements)), f"{one.minimal_margin_mm:.1f} mm",
                f"{100 * one.margin_share:.1f} %", f"{one.healthy_ml:.1f} ml", f"{one.risk:.2f}",
            ))  # fmt: skip
        parts.fill(self.table, rows)
        self.why.setText(state.chosen_why)
        self._compare()

    def _selected(self) -> int:
        rows = self.table.selectionModel().selectedRows()
        return rows[0].row() if rows else self.planner.state.chosen

    def _take(self) -> None:
        number = self._selected()
        self.planner.desk.attempt(lambda: self.planner.plans.choose(number, self.why.text()))

    def _compare(self) -> None:
        plans, chosen, other = (
            self.planner.plans.alternatives(), self.planner.state.chosen, self._selected()
        )  # fmt: skip
        self.take.setEnabled(bool(plans) and not self.planner.desk.read_only)
        if len(plans) < 2:
            self.beside.setHtml(
                "<p>No plans yet.</p>" if not plans else "<p>One plan was found.</p>"
            )
            return
        plan = self.planner.state.plan
        edited = plan is not None and plan.placements != plans[chosen].plan.placements
        note = (
            "<p>The plan was edited since; here all are as they were found.</p>" if edited else ""
        )
        if other == chosen:
            words = "<p>Select another row to see it beside the chosen plan.</p>"
            self.beside.setHtml(note + words)
            return
        found = self.planner.plans.compare(chosen, other)
        cells = [
            f"<tr><th align='left'>term</th><th>chosen ({chosen + 1})</th>"
            f"<th>selected ({other + 1})</th><th></th></tr>"
        ]
        a, b = plans[chosen], plans[other]
        known = () if found.judged_terms else (
            ("smallest margin", f"{a.minimal_margin_mm:.1f}", f"{b.minimal_margin_mm:.1f}", "mm"),
            ("target + margin covered", f"{100 * a.margin_share:.1f}",
             f"{100 * b.margin_share:.1f}", "%"),
            ("healthy tissue in the zone", f"{a.healthy_ml:.1f}", f"{b.healthy_ml:.1f}", "ml"),
            ("cost of the paths", f"{a.risk:.2f}", f"{b.risk:.2f}", ""),
        )  # fmt: skip
        for name, one, two, unit in known:
            cells.append(
                f"<tr><td>{name}</td><td align='right'>{one} {unit}</td>"
                f"<td align='right'>{two} {unit}</td><td></td></tr>"
            )
        for t in (*found.judged_terms, *found.plan_terms):
            if t.verdict == "same":
                continue
            colour = {"A better": theme.WARN, "B better": theme.GOOD}.get(t.verdict, theme.INK)
            word = {"A better": "chosen better", "B better": "selected better"}.get(
                t.verdict, t.verdict
            )
            cells.append(
                f"<tr><td>{html.escape(t.name)}</td>"
                f"<td align='right'>{html.escape(t.a)} {html.escape(t.unit)}</td>"
                f"<td align='right'>{html.escape(t.b)} {html.escape(t.unit)}</td>"
                f"<td style='color:{colour}'>{html.escape(word)}</td></tr>"
            )
        self.beside.setHtml(note + "<table cellpadding='3'>" + "".join(cells) + "</table>")
