"""How long a user waits for nothing: ``import irplan`` and ``irplan --help``.

    python -m benchmarks.startup [--json FILE]

Medians of 9 fresh processes after one warm-up, whole-process wall time; the bare interpreter's
own start is printed beside them.
"""

from __future__ import annotations

import statistics
import sys

from benchmarks.measure import arguments, report, row, run


def median_wall(command: list[str], repeats: int = 9) -> float:
    run(command)
    return statistics.median(run(command).wall_s for _ in range(repeats))


def main() -> None:
    options = arguments(__doc__).parse_args()
    bare = median_wall([sys.executable, "-c", "pass"])
    imported = median_wall([sys.executable, "-c", "import irplan"])
    shown = median_wall([sys.executable, "-c", "from irplan.cli import main; main()", "--help"])
    report(
        "Start-up (median of 9)",
        [
            row("python -c pass", bare, "s"),
            row("import irplan", imported, "s", 0.3, imported <= 0.3),
            row("irplan --help", shown, "s", 0.5, shown <= 0.5),
        ],
        json_file=options.json,
    )


if __name__ == "__main__":
    main()
