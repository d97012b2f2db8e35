"""The planner without its window: what a case is, what may be done to it, what is seen of it.

Design
------
*State.*  `CaseState` is immutable and holds everything that is saved: image, labels, clicks,
target, options, plan, simulation, review, notes.  Every part carries a revision number; what was
made from parts remembers their numbers, so "stale" is derived and never set (`steps`).

*Commands.*  `Planner` is the only one that replaces the state.  A command is a method; it makes a
new state and pushes it on the `History`, so undo and redo reach over everything alike.  Label maps
of older states are kept as differences, simulations only of the newest few (an undone plan is
simulated again, which gives the same answer).

*Jobs.*  What takes longer than a frame runs on a worker thread (`JobQueue`): one lane each for
reading, heavy work, edits of needles, writing, and background.  Segmentation and planning hold the
interpreter for seconds at a time, so they run in a process of their own (`HeavyWorker`).  Workers
never touch the state: they return a value, which `JobQueue.poll` hands to the planner on the
caller's thread.  Every job reports progress and can be cancelled.  A result whose inputs have
changed meanwhile is put aside.

*Views.*  What a view shows is computed here as plain arrays and lines in millimetres: slices
(`slices`), outlines (`outlines`), needle handles (`handles`), surfaces (`surfaces`).  Widgets only
draw them and send back millimetres.

*Files.*  `case_folder` writes a case as one folder: parts first, ``case.json`` that names them
last, so a crash leaves the case as it was.

Nothing in this package imports Qt.
"""
