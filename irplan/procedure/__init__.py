"""The record of a procedure: log, dose, review gate and the content of its draft report.

Import from the modules: `log` (append, read), `log_verify`, `events`, `review`, `dose`, `report`.
"""
