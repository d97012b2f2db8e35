"""What a radiofrequency generator gives: its ramp, its pulses and its limits."""

from __future__ import annotations

import math

from irplan.ablation.device import RfaDevice
from irplan.ablation.field.control import RfaControl


class Generator:
    """State of one generator: power allowed now, roll-offs, limits that were reached."""

    def __init__(self, control: RfaControl, device: RfaDevice) -> None:
        self.control, self.device = control, device
        self.roll_offs = 0
        self.off_until_s = 0.0
        self.factor = 1.0
        self.limited: set[str] = set()
        self._on_since_s: float | None = None
        self._ramp_ended_s = math.inf

    def resting(self, now_s: float) -> bool:
        """Off after a roll-off."""
        return now_s < self.off_until_s - 1e-6

    def idle(self) -> None:
        """No power now: the next one begins a new pulse."""
        self._on_since_s = None

    def allowed_w(self, asked_w: float, now_s: float) -> float:
        """The schedule's power, less the ramp and what roll-offs took."""
        if self._on_since_s is None:
            self._on_since_s = now_s
        c = self.control
        if c.mode == "impedance":
            minutes = min(now_s, self._ramp_ended_s) / 60.0
            asked_w = min(asked_w, c.start_w + c.ramp_w_per_min * minutes)
        return asked_w * self.factor

    def rolls_off(self, ohm: float, first_ohm: float) -> bool:
        """The impedance has risen as far as allowed."""
        return self.control.mode == "impedance" and ohm >= first_ohm + self.control.rise_ohm

    def roll_off(self, now_s: float) -> None:
        """Count a roll-off; less power from now on if the pulse was too short."""
        c = self.control
        self.roll_offs += 1
        self._ramp_ended_s = min(self._ramp_ended_s, now_s)
        on = 0.0 if self._on_since_s is None else now_s - self._on_since_s
        if on < c.held_s:
            self.factor *= c.step_back
        self._on_since_s = None

    def rest(self, now_s: float) -> None:
        """Off for the time that the control asks for."""
        self.off_until_s = now_s + self.control.off_s

    def volts(self, watts: float, ohm: float) -> float:
        """Voltage for ``watts`` within the device's limits."""
        wanted = math.sqrt(watts * ohm)
        device = self.device
        for name, most in (
            ("voltage", device.max_voltage_v),
            ("current", device.max_current_a * ohm),
            ("power", math.sqrt(device.max_power_w * ohm)),
        ):
            if wanted > most * (1.0 + 1e-9):
                wanted = most
                self.limited.add(name)
        return wanted
