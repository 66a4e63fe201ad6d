"""Figures of what was measured, drawn with matplotlib: SVG or PNG, by the ending of the file.

The colours are those of Okabe and Ito, which differ for every kind of colour-blindness; each curve has a marker of its
own besides.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from rer_numba.benchmark import Measurement
from rer_numba.benchmark_growth import bytes_per_requirement, encode_seconds, solve_summary
from rer_numba.errors import RerError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS: Final = (".svg", ".png")
_OURS, _PYRER, _REZ, _OTHER = "#0072B2", "#E69F00", "#D55E00", "#009E73"
_STYLES: Final = {"rer-numba": (_OURS, "o"), "pyrer": (_PYRER, "s"), "rez": (_REZ, "^")}
_SETTINGS: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "rer-numba",  # the same file for the same numbers
}

Found = dict[str, Any]


def require_drawable(path: str) -> None:
    """Raise unless a figure can be drawn to a file of this name: before anything is measured.

    Raises
    ------
    RerError
        The ending is neither .svg nor .png, the folder does not exist, or matplotlib is not installed.
    """
    if os.path.splitext(path)[1].lower() not in ENDINGS:
        raise RerError(f"--figure takes a file that ends in {' or '.join(ENDINGS)}, not {path!r}")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise RerError(f"there is no folder {folder} for the figure")
    if find_spec("matplotlib") is None:
        raise RerError("a figure needs matplotlib, which is not installed: pip install 'rer-numba[figures]'")


# ------------------------------------------------------------------------------------------------------------ requests
def draw_requests(measured: Sequence[Measurement], path: str) -> None:
    """Draw how long each request took, sorted, for each engine; of pyrer's two ways of calling the faster one.

    Parameters
    ----------
    measured : sequence of Measurement
        Ours first. Who was asked some of the requests only is drawn over the whole width, with a marker for each.
    path : str
        See `require_drawable`.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.subplots()
        count = len(measured[0].numbers)
        for one in _fastest(measured):
            _draw_sorted(axes, one, count)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_duration)
        axes.set_xlim(0, 116)  # room for the names
        axes.set_xticks(range(0, 101, 20), [f"{percent} %" for percent in range(0, 101, 20)])
        axes.set_xlabel(f"the {count} requests, each engine's fastest first")
        axes.set_ylabel("time of the call from Python")
        axes.set_title("rez's benchmark: time of each request, sorted (logarithmic scale)")
        _save(figure, path)


def _fastest(measured: Sequence[Measurement]) -> list[Measurement]:
    """One measurement for each engine: that with the shortest time."""
    found: dict[str, Measurement] = {}
    for one in measured:
        name = _engine(one)
        if name not in found or sum(one.whole_ms) < sum(found[name].whole_ms):
            found[name] = one
    return list(found.values())


def _engine(measured: Measurement) -> str:
    return measured.label.split(" ")[0]


def _draw_sorted(axes: Axes, measured: Measurement, count: int) -> None:
    colour, marker = _STYLES[_engine(measured)]
    times = sorted(measured.whole_ms)
    places = [100 * (rank + 0.5) / len(times) for rank in range(len(times))]
    asked = "" if len(times) == count else f"\n({len(times)} requests)"
    every = max(1, len(times) // 12)
    axes.plot(places, times, color=colour, marker=marker, markersize=4, markevery=every, linewidth=1.6)
    label = measured.label.partition(",")[0].replace(" ", "\n", 1)
    axes.annotate(
        label + asked,
        (places[-1], times[-1]),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        fontweight="bold",
        fontsize=8,
    )


def _duration(milliseconds: float, _position: float = 0) -> str:
    """A time in the unit that fits it."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:g} s"
    return f"{milliseconds:g} ms" if milliseconds >= 1 else f"{1000 * milliseconds:g} µs"


# -------------------------------------------------------------------------------------------------------------- growth
def draw_growth(report: Found, path: str) -> None:
    """Draw what `rer_numba.benchmark_growth` measured: solving, opening, encoding, and the size of the file.

    Parameters
    ----------
    report : dict
        As `measure_growth` gives it.
    path : str
        See `require_drawable`.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    sizes = report["sizes"]
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(7.2, 5.4), layout="constrained")
        solving, opening, encoding, memory = figure.subplots(2, 2).flat
        _draw_growth(solving, sizes, "median of the requests, as called", _solve_times(sizes))
        _draw_growth(opening, sizes, "opening", _open_times(sizes))
        _draw_growth(
            encoding, sizes, "encoding and saving", {"": ([1000 * encode_seconds(size) for size in sizes], _OURS, "o")}
        )
        _draw_growth(memory, sizes, "file and memory", _bytes(sizes))
        for axes in (solving, opening, encoding):
            axes.yaxis.set_major_formatter(_duration)
        memory.yaxis.set_major_formatter(lambda value, _: f"{value / 1000:g} GB" if value >= 1000 else f"{value:g} MB")
        _draw_proportion(encoding, sizes, 1000 * encode_seconds(sizes[0]))
        figure.suptitle("Repositories as large as rez's benchmark, and many times larger", fontsize=10)
        _save(figure, path)


def _solve_times(sizes: Sequence[Found]) -> dict[str, tuple[list[float], str, str]]:
    return {
        "again": ([solve_summary(size, sizes[0], "whole_ms")["median"] for size in sizes], _OURS, "o"),
        "first of a process": ([median(size["fresh_solve_ms"]) for size in sizes], _OTHER, "s"),
    }


def _open_times(sizes: Sequence[Found]) -> dict[str, tuple[list[float], str, str]]:
    return {
        "known file": ([median(size["open_again_ms"]) for size in sizes], _OURS, "o"),
        "new to the user (verified)": ([median(size["open_first_ms"]) for size in sizes], _OTHER, "s"),
    }


def _bytes(sizes: Sequence[Found]) -> dict[str, tuple[list[float], str, str]]:
    per = bytes_per_requirement(sizes[-1])
    curves = {f"file ({per:.0f} bytes a requirement)": ([size["file_bytes"] / 1e6 for size in sizes], _OURS, "o")}
    if all(size["peak_bytes"] for size in sizes):
        curves["peak memory of encoding"] = ([size["peak_bytes"] / 1e6 for size in sizes], _OTHER, "s")
    return curves


def _draw_growth(
    axes: Axes, sizes: Sequence[Found], title: str, curves: dict[str, tuple[list[float], str, str]]
) -> None:
    scales = [size["scale"] for size in sizes]
    for label, (values, colour, marker) in curves.items():
        axes.plot(scales, values, color=colour, marker=marker, markersize=5, linewidth=1.6, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(scales, [f"{size['scale']}\n{_thousands(size['packages'])} packages" for size in sizes])
    axes.tick_params(axis="x", which="minor", bottom=False)
    axes.minorticks_off()
    values = [value for curve, _, _ in curves.values() for value in curve]
    axes.set_ylim(min(values) / 3, max(values) * 5)
    axes.set_title(title)
    if len(curves) > 1:
        axes.legend(fontsize=8, loc="upper left")


def _draw_proportion(axes: Axes, sizes: Sequence[Found], first: float) -> None:
    """A line for what would grow as the repository does."""
    start = sizes[0]["requirements"]
    values = [first * size["requirements"] / start for size in sizes]
    axes.plot(
        [size["scale"] for size in sizes], values, color="#777777", linestyle=":", linewidth=1.2, label="in proportion"
    )
    axes.legend(fontsize=8, loc="upper left")


def _thousands(count: int) -> str:
    if count >= 1_000_000:
        return f"{count / 1e6:.3g} M"
    return f"{count / 1000:.3g} k" if count >= 1000 else str(count)


def _save(figure: Figure, path: str) -> None:
    """Write it; without a date, so that the same numbers give the same file."""
    svg = path.lower().endswith(".svg")
    figure.savefig(path, dpi=150, metadata={"Date": None} if svg else None)
