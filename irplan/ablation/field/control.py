"""How a radiofrequency generator is steered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from irplan.ablation.given import Limits, check_text, take_numbers
from irplan.errors import InputError

Mode = Literal["power", "impedance", "temperature"]
Arrangement = Literal["together", "switched", "bipolar"]


@dataclass(frozen=True)
class RfaControl:
    """Control of a radiofrequency generator.

    Parameters
    ----------
    mode : "power": the phase's power until a limit of the device; "impedance": the same, and the
        power goes off for ``off_s`` whenever the impedance has risen ``rise_ohm`` above its first
        value (pulsing); "temperature": the power is reduced as the electrode nears ``target_c``.
    arrangement : several electrodes: "together" at one potential, "switched" one after the other
        every ``switch_s`` (or at a roll-off), "bipolar" between the first two; all but
        "bipolar" against a distant pad.  ``power_w`` of a phase is that of the one generator; with
        a schedule for each electrode the largest one asked for counts.
    rise_ohm, off_s : 30 ohm above the first value, 15 s off: impedance-controlled pulsing of a
        cooled electrode, Trujillo et al., Int. J. Hyperthermia 32 (2016) 931 [S].
    start_w, ramp_w_per_min : "impedance": the power begins at 80 W and rises by 10 W/min up to the
        phase's until the first roll-off, as manual protocols of cooled electrodes do [S].
    step_back, held_s : a roll-off within ``held_s`` of power lowers the power to this share of it
        (0.2 to 1): pulsed generators take 50 to 100 mA off when the current could not be held for
        10 s, Goldberg et al., J. Vasc. Interv. Radiol. 10 (1999) 907 [S].
    switch_s : 30 s, as switching controllers do [S].
    target_c, band_c : temperature control: full power up to ``target_c - band_c``, none at
        ``target_c``; 105 degC as expandable electrodes aim at [S].
    change : a potential is solved anew when the impedance has moved by about this share
        (0.002 to 0.1); halving it shows the error it makes.
    longest_s, shortest_s : bounds of the time between two solutions.
    """

    mode: Mode = "impedance"
    arrangement: Arrangement = "together"
    rise_ohm: float = 30.0
    off_s: float = 15.0
    start_w: float = 80.0
    ramp_w_per_min: float = 10.0
    step_back: float = 0.9
    held_s: float = 10.0
    switch_s: float = 30.0
    target_c: float = 105.0
    band_c: float = 5.0
    change: float = 0.05
    longest_s: float = 5.0
    shortest_s: float = 0.5

    def __post_init__(self) -> None:
        check_text("control.mode", self.mode, get_args(Mode))
        check_text("control.arrangement", self.arrangement, get_args(Arrangement))
        limits: Limits = {
            "rise_ohm": (1.0, 1000.0, "ohm"),
            "off_s": (1.0, 120.0, "s"),
            "start_w": (1.0, 1000.0, "W"),
            "ramp_w_per_min": (0.0, 1000.0, "W/min"),
            "step_back": (0.2, 1.0, ""),
            "held_s": (0.0, 120.0, "s"),
            "switch_s": (1.0, 600.0, "s"),
            "target_c": (50.0, 130.0, "degC"),
            "band_c": (0.5, 30.0, "K"),
            "change": (0.002, 0.1, ""),
            "longest_s": (0.25, 30.0, "s"),
            "shortest_s": (0.02, 5.0, "s"),
        }
        take_numbers(self, "control", limits, "Leave it out for the default.")
        if self.shortest_s > self.longest_s:
            raise InputError(
                "control.shortest_s",
                got=f"{self.shortest_s} s with longest_s {self.longest_s} s",
                expected="shortest_s <= longest_s",
                remedy="Leave both out.",
            )
