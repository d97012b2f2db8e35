"""One case from files to files: open any image, run the chain, write the folder.

Each part is imported by its module, so that looking at a file does not load the drawing code:
`irplan.case.run` (`run_plan`, `run_demo`), `irplan.case.open`, `irplan.case.describe`,
`irplan.case.write`, `irplan.case.phantom`.
"""
