"""irplan: from a CT to an ablation plan that can be trusted.  Research use only.

Importing this package is cheap (no numba, VTK or GPU); each subpackage is imported by name,
for example ``from irplan.planning import plan_case``.
"""

__version__ = "0.1.0"

RESEARCH_USE_ONLY = (
    "irplan is research software. It is not a medical device and must not be used "
    "for diagnosis or treatment."
)
