"""The planner: a window from CT to ablation plan and draft report. Research use only."""
