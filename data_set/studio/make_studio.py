"""The truth behind packages.json and requests.json of the studio data set: an imaginary animation studio.

``python data_set/studio/make_studio.py`` writes both files beside itself, always the same bytes. Requirements are one
string here, separated by spaces; variants are separated by slashes. A version carries its release month.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

packages: list[dict[str, Any]] = []


def release(name: str, version: str, month: str, requires: str = "", variants: str = "", build: str = "") -> None:
    """Add one package; `month` is "YYYY-MM" and becomes a timestamp within that month."""
    year, month_number = map(int, month.split("-"))
    # Spread over the month by position, so that no two releases share a second.
    seconds = int(datetime(year, month_number, 1, 9, tzinfo=timezone.utc).timestamp()) + len(packages) * 4001
    package: dict[str, Any] = {"name": name, "version": version, "requires": requires.split()}
    package["variants"] = [variant.split() for variant in variants.split("/")] if variants else []
    package["build_requires"] = build.split()
    package["timestamp"] = seconds
    packages.append({key: value for key, value in package.items() if value})


def releases(name: str, versions: str, requires: str = "", variants: str = "", build: str = "") -> None:
    """Add several versions ("version@month ...") with the same requirements."""
    for entry in versions.split():
        version, month = entry.split("@")
        release(name, version, month, requires, variants, build)


# ---- machines and languages

releases("platform", "linux@2018-01 windows@2018-01")
releases("arch", "x86_64@2018-01")
releases("os", "centos-7@2018-01 rocky-8@2021-09 rocky-9@2023-02", "platform-linux arch")
releases("os", "windows-10@2018-01", "platform-windows arch")
releases("gcc", "6.3.1@2018-03 9.3.1@2020-11 11.2.1@2022-06", "platform-linux")
releases("cmake", "3.20.6@2021-05 3.27.9@2023-12", "arch")
releases("python", "2.7.18@2020-05 3.7.16@2022-12 3.9.18@2023-08 3.10.13@2023-08 3.11.7@2023-12", "arch",
         "platform-linux / platform-windows")  # fmt: skip
releases("cuda", "11.8.0@2022-10 12.1.1@2023-05", "platform-linux .gpu-1")

# ---- libraries, in the steps of the yearly reference platform

PYTHON_AND_BOOST = "python-3.9 boost-1.76 / python-3.10 boost-1.80 / python-3.11 boost-1.82"
releases("boost", "1.70.0@2019-11 1.76.0@2021-11 1.80.0@2022-11 1.82.0@2023-11", "platform", build="gcc cmake-3.20+")
releases("tbb", "2019.9@2019-11 2020.3@2021-01 2021.11@2023-12", "platform", build="gcc cmake")
releases("imath", "3.0.5@2021-06 3.1.9@2023-06", "platform", build="gcc-9+ cmake-3.20+")
release("openexr", "2.4.3", "2021-05", "platform !imath", build="gcc cmake")
releases("openexr", "3.1.11@2023-07 3.2.1@2023-10", "imath-3.1+<3.2 platform", build="gcc-9+ cmake")
releases("ptex", "2.3.2@2019-06 2.4.2@2022-12", "platform", build="gcc cmake")
release("alembic", "1.7.16", "2020-10", "openexr-2", build="gcc cmake")
release("alembic", "1.8.5", "2023-03", "imath-3.1", PYTHON_AND_BOOST)
release("ocio", "1.1.1", "2019-07", "", "python-2.7 / python-3.7")
release("ocio", "2.1.3", "2022-12", "openexr-3.1", "python-3.7 / python-3.9")
releases("ocio", "2.2.1@2023-02 2.3.0@2023-10", "openexr-3.1+ imath-3.1", "python-3.9 / python-3.10 / python-3.11")
release("oiio", "2.2.21", "2022-03", "openexr-2.4 ocio-1 boost-1.70", "python-2.7 / python-3.7")
release("oiio", "2.4.17", "2023-11", "openexr-3.1 ocio-2.1+<2.3", "python-3.7 boost-1.76 / python-3.9 boost-1.76")
release("oiio", "2.5.5", "2023-12", "openexr-3.1+ ocio-2.2+", PYTHON_AND_BOOST)
release("openvdb", "8.2.0", "2021-10", "openexr-2.4 tbb-2019+<2020.9", "boost-1.70 / boost-1.76")
releases("openvdb", "9.1.0@2022-06 10.0.1@2022-12", "imath-3.1 tbb-2020", "boost-1.76 / boost-1.80")
release("openvdb", "11.0.0", "2023-11", "imath-3.1 tbb-2021 boost-1.82")
releases("opensubdiv", "3.4.4@2021-02 3.5.1@2023-08", "tbb ptex", "platform-linux / platform-windows", "gcc cmake")
release("materialx", "1.38.4", "2022-03", "", "python-3.7 / python-3.9")
release("materialx", "1.38.8", "2023-09", "", "python-3.9 / python-3.10 / python-3.11")
release("osl", "1.11.17", "2022-01", "oiio-2.2 openexr-2")
release("osl", "1.12.14", "2023-09", "oiio-2.4+<2.6 imath-3.1", build="gcc-9+ cmake-3.20+")
release("embree", "3.13.5", "2022-08", "tbb-2020", "platform-linux / platform-windows")
release("embree", "4.3.0", "2023-08", "tbb-2021", "platform-linux / platform-windows")
release("usd", "21.11", "2021-11", "opensubdiv-3.4 boost-1.70 tbb-2019 ~alembic-1.7", "python-2.7 / python-3.7")
release("usd", "22.11", "2022-11", "opensubdiv-3.4+ materialx-1.38 tbb-2020 ~alembic-1.8",
        "python-3.7 boost-1.76 / python-3.9 boost-1.76 / python-3.10 boost-1.80")  # fmt: skip
releases("usd", "23.05@2023-05 23.11@2023-11",
         "opensubdiv-3.5 materialx-1.38.8+ tbb-2020 ~alembic-1.8 ~openvdb-9+", PYTHON_AND_BOOST)  # fmt: skip
releases("ffmpeg", "4.4.4@2021-12 6.0.1@2023-11", "platform")
releases("qt", "5.12.6@2019-11 5.15.2@2020-11 6.5.3@2023-10", "platform", build="gcc cmake python-3.7+")
release("pyside", "5.12.6", "2019-12", "qt-5.12 !python-3.9+", "python-2.7 / python-3.7")
release("pyside", "5.15.2", "2021-01", "qt-5.15", "python-3.7 / python-3.9 / python-3.10")
release("pyside", "6.5.3", "2023-10", "qt-6.5", "python-3.9 / python-3.10 / python-3.11")
release("numpy", "1.16.6", "2019-12", "", "python-2.7 / python-3.7")
release("numpy", "1.21.6", "2022-04", "", "python-3.7 / python-3.9 / python-3.10")
releases("numpy", "1.23.5@2022-11 1.24.4@2023-06", "", "python-3.9 / python-3.10 / python-3.11")
release("six", "1.16.0", "2021-05", "python")
releases("yaml", "5.4.1@2021-01 6.0.1@2023-07", "python", build="cmake")
releases("http", "2.27.1@2022-01 2.31.0@2023-05", "python-2.7|3")
releases("pillow", "6.2.2@2020-01", "", "python-2.7 / python-3.7")
releases("pillow", "9.5.0@2023-04 10.1.0@2023-10", "", "python-3.9 / python-3.10 / python-3.11")

# ---- applications: what they ship themselves is a weak requirement

LINUX_WINDOWS = "platform-linux / platform-windows"
release("maya", "2020.4", "2020-12", "python-2.7 ~qt-5.12 ~tbb-2019 ~openexr-2 ~numpy-1.16", LINUX_WINDOWS)
release("maya", "2022.5", "2023-04", "python-3.7 ~qt-5.15 ~tbb-2020 ~usd-21.11|22.11", LINUX_WINDOWS)
release("maya", "2023.3", "2023-03", "python-3.9 ~qt-5.15 ~tbb-2020 ~usd-22.11|23.05 ~openexr-3", LINUX_WINDOWS)
releases(
    "maya", "2024.1@2023-06 2024.2@2023-10", "python-3.10 ~qt-5.15 ~tbb-2020 ~usd-22.11+ ~openexr-3", LINUX_WINDOWS
)
release("houdini", "18.5.759", "2021-09", "python-2.7|3.7 ~qt-5.12 ~tbb-2019 ~openvdb-8 ~usd-21", LINUX_WINDOWS)
release("houdini", "19.5.805", "2023-10", "python-3.9 ~qt-5.15 ~tbb-2020 ~openvdb-9+ ~usd-22.11+", LINUX_WINDOWS)
releases(
    "houdini", "20.0.547@2023-12 20.0.590@2024-01", "python-3.10 ~qt-5.15 ~tbb-2020 ~usd-23 ~openvdb-10+", LINUX_WINDOWS
)
release("nuke", "12.2.4", "2020-12", "python-2.7 ~qt-5.12 ~ocio-1", LINUX_WINDOWS)
release("nuke", "13.2.8", "2023-05", "python-3.7 ~qt-5.12 ~ocio-1|2.1", LINUX_WINDOWS)
releases("nuke", "14.0.5@2023-05 15.0.2@2023-12", "python-3.9|3.10 ~qt-5.15 ~ocio-2.2+ ~usd-22.11+", LINUX_WINDOWS)
release("katana", "5.0.4", "2022-03", "python-3.7 ~qt-5.15 ~usd-21.11 ~tbb-2019", LINUX_WINDOWS)
release("katana", "6.0.3", "2023-05", "python-3.9 ~qt-5.15 ~usd-22.11 ~tbb-2020 ~ocio-2", LINUX_WINDOWS)
release("katana", "7.0.1", "2023-12", "python-3.10 ~qt-5.15 ~usd-23 ~tbb-2020 ~ocio-2.2+", LINUX_WINDOWS)
releases("blender", "2.93.18@2023-05 3.6.5@2023-10", "python-3.9|3.10 !pyside ~usd-22+", LINUX_WINDOWS)
release("blender", "4.0.2", "2023-12", "python-3.10 !pyside ~usd-23 ~ocio-2.3 ~numpy-1.23+", LINUX_WINDOWS)
releases("mari", "5.0.4@2022-11 7.0.0@2023-12", "ptex python-3.7+<3.11 ~ocio-2", LINUX_WINDOWS)
releases("painter", "8.3.1@2022-12 9.1.1@2023-11", "~python-3.9|3.10 ~qt-5.15", LINUX_WINDOWS)
releases("player", "2022.3.1@2022-10 2023.0.2@2023-09", "python-3.9 qt-5.15 ffmpeg ocio-2", LINUX_WINDOWS)

# ---- renderers and their plug-ins

releases("arnold", "6.2.1@2021-04 7.1.4@2022-11 7.2.5@2023-11", "~osl-1.11+ ~usd-21.11+", LINUX_WINDOWS)
release("arnold_gpu", "7.2.5", "2023-11", "arnold-7.2.5 cuda-11.8+ .gpu-1")
release("mtoa", "4.2.4", "2021-11", "arnold-6.2", "maya-2020 / maya-2022")
release("mtoa", "5.2.2", "2022-12", "arnold-7.1", "maya-2022 / maya-2023")
releases("mtoa", "5.3.1@2023-06 5.3.5@2023-11", "arnold-7.2", "maya-2022 / maya-2023 / maya-2024")
release("htoa", "5.6.4", "2021-06", "arnold-6.2 houdini-18.5")
release("htoa", "6.2.5", "2023-12", "arnold-7.2", "houdini-19.5 / houdini-20.0.547")
releases("ktoa", "4.1.3@2022-12 4.2.5@2023-12", "arnold-7 ~usd-21.11+", "katana-5 / katana-6 / katana-7")
releases("vray", "5.2.1@2022-02 6.2.0@2023-10", "embree-3", LINUX_WINDOWS)
release("vray_maya", "5.2.1", "2022-02", "vray-5.2", "maya-2020 / maya-2022")
release("vray_maya", "6.2.0", "2023-10", "vray-6.2", "maya-2022 / maya-2023 / maya-2024")
releases("prman", "24.4@2022-04 25.2@2023-08 26.0@2024-01", "~osl-1.12 ~openvdb-9+ ptex", LINUX_WINDOWS)
release("prman_maya", "24.4", "2022-04", "prman-24.4", "maya-2020 / maya-2022")
releases("prman_maya", "25.2@2023-08 26.0@2024-01", "prman-25+", "maya-2022 / maya-2023 / maya-2024")
release("prman_katana", "25.2", "2023-08", "prman-25", "katana-5 / katana-6")
release("prman_katana", "26.0", "2024-01", "prman-26", "katana-6 / katana-7")
releases("prman_houdini", "25.2@2023-08 26.0@2024-01", "prman-25+", "houdini-19.5 / houdini-20")
releases("redshift", "3.0.67@2022-01 3.5.22@2023-12", ".gpu-1 cuda-11+", "maya-2022+ / houdini-19.5+ / katana-6+")
releases("denoiser", "1.4.3@2021-08 2.1.0@2023-10", "openexr-3", "tbb-2020 embree-3 / tbb-2021 embree-4 / cuda-12")

# ---- the studio's own tools

release("pipe_core", "3.9.4", "2021-12", "six yaml-5", "python-2.7 / python-3.7")
releases("pipe_core", "4.2.0@2023-02 4.3.1@2023-09", "yaml-5+ http-2", "python-3.7 / python-3.9 / python-3.10")
release("pipe_core", "5.0.0", "2024-01", "yaml-6 http-2.31", "python-3.9 / python-3.10 / python-3.11")
releases("pipe_config", "1.8.2@2021-06 2.4.0@2023-05 2.5.1@2023-12", "yaml python")
release("pipe_ui", "2.6.1", "2021-12", "pipe_core-3+<5", "pyside-5.12 / pyside-5.15")
releases("pipe_ui", "3.1.0@2023-03 3.2.2@2023-10", "pipe_core-4+", "pyside-5.15 / pyside-6.5")
releases("shot_db", "6.4.2@2022-02 7.1.0@2023-06 7.2.3@2023-12", "pipe_core-3+ http-2", "python-2.7|3.7 / python-3.9+")
releases("shot_browser", "1.9.0@2022-01 2.3.0@2023-06 2.4.1@2023-12", "pipe_ui-2.6+ shot_db-6.4+ ~pillow-9+")
releases("color_config", "1.2@2020-08 2.0@2023-01 2.1@2023-11", "~ocio-1|2", build="ocio-2.1+ python-3.9")
releases(
    "show_aurora", "1.4@2023-02 1.7@2023-11", "color_config-2 ~maya-2023|2024 ~usd-23 ~mtoa-5.3 ~nuke-14|15 .show-1"
)
releases(
    "show_borealis",
    "0.9@2021-10 1.0@2022-06",
    "color_config-1 ~maya-2020|2022 ~usd-21 ~python-2.7|3.7 ~nuke-12|13 .show-2",
)
release("usd_pipeline", "1.6.0", "2022-03", "usd-21.11 pipe_core-3+<5 pipe_config-1+")
releases("usd_pipeline", "2.3.0@2023-03 2.4.2@2023-12", "usd-22.11+ pipe_core-4+ pipe_config-2")
releases("geo_cache", "2.1.0@2022-01 3.0.4@2023-08", "pipe_core", "alembic usd / alembic", "gcc-9+ cmake boost")
release("asset_publisher", "3.4.0", "2022-02", "pipe_core-3 shot_db-6 geo_cache-2")
releases("asset_publisher", "4.1.2@2023-08 4.2.0@2023-12", "pipe_core-4+ shot_db-7 usd_pipeline-2 geo_cache-3")
release("anim_kit", "5.2.0", "2022-04", "pipe_ui-2 geo_cache numpy-1.16+", "maya-2020 / maya-2022")
releases(
    "anim_kit",
    "6.0.3@2023-05 6.1.1@2023-11",
    "pipe_ui-3 usd_pipeline-2 numpy-1.21+",
    "maya-2022 / maya-2023 / maya-2024",
)
release("rig_kit", "3.7.5", "2021-11", "pipe_core-3 numpy-1.16", "maya-2020 / maya-2022")
release("rig_kit", "4.1.0", "2023-09", "pipe_core-4+ numpy", "maya-2022 / maya-2023 / maya-2024")
releases("camera_kit", "1.3.0@2022-05 1.5.2@2023-10", "pipe_core", "maya / houdini / nuke / blender-3+")
release("layout_kit", "2.0.1", "2023-09", "pipe_core-4+ usd_pipeline-2 camera_kit-1.3+", "maya-2023+ / blender-3.6+")
release(
    "light_kit", "3.8.0", "2022-03", "pipe_ui-2 color_config-1 arnold-6", "maya-2020|2022 mtoa-4 / katana-5 ktoa-4.1"
)
releases("light_kit", "4.2.0@2023-06 4.4.1@2023-12", "pipe_ui-3 color_config-2 usd_pipeline-2.3+",
         "maya-2024 mtoa-5.3+ / maya-2023 mtoa-5 / houdini-20 htoa-6.2+ / katana-7 ktoa-4.2 / katana prman_katana-25+",
         )  # fmt: skip
releases("look_kit", "2.2.0@2023-04 2.3.4@2023-12", "materialx-1.38.4+ usd_pipeline-2 texture_kit-1.4+",
         "houdini-20 htoa / houdini-19.5 htoa / maya mtoa / katana ktoa / maya vray_maya")  # fmt: skip
releases("texture_kit", "1.2.0@2022-02", "oiio-2.2 ptex", "python-2.7 / python-3.7")
releases(
    "texture_kit", "1.4.3@2023-06 1.5.0@2023-12", "oiio-2.4+ ptex color_config-2", "mari-5+ / painter-8+ / python-3.9+"
)
releases(
    "fx_kit", "3.3.1@2023-06 3.4.0@2024-01", "pipe_core-4+ usd_pipeline-2 openvdb-9+<11", "houdini-20 / houdini-19.5"
)
release("groom_kit", "1.9.2", "2022-06", "pipe_core-3+ ptex", "maya-2020 / maya-2022")
release("groom_kit", "2.0.0", "2023-11", "pipe_core-4+ ptex usd_pipeline-2 strand_lib-1.2+", "maya-2023 / maya-2024")
release("crowd_kit", "1.1.0", "2022-08", "numpy pipe_core-4.2+<5", "houdini-19.5 openvdb-9 / houdini-18.5 openvdb-8")
releases(
    "comp_kit", "6.1.4@2023-05 6.3.0@2023-12", "pipe_ui-3 color_config-2 ocio-2.2+ ~pillow-9+", "nuke-15 / nuke-14"
)
release("comp_kit", "5.0.2", "2021-09", "pipe_ui-2 color_config-1", "nuke-12 / nuke-13")
releases("review_kit", "1.6.0@2022-11 2.0.1@2023-12", "player ffmpeg-4+ shot_db-7 pipe_ui-3")
release("review_sync", "0.4.0", "2023-12", "review_board-1 shot_db-7")
release("review_board", "1.0.0", "2023-12", "review_notes-0.2+ pipe_core-4+")
release("review_notes", "0.2.1", "2023-12", "review_sync http-2")
releases("farm_client", "10.2.1@2022-05 10.3.1@2023-10", "python-2.7|3.7+ http-2")
releases("render_submit", "2.9.0@2022-02 3.2.0@2023-09 3.3.1@2024-01", "farm_client-10.2+ pipe_core pipe_config")
releases("render_blade", "1.0@2021-01 2.0@2023-10", "farm_client .gpu-0 !qt ~os-centos|rocky")
releases("gpu_blade", "2.0@2023-10", "farm_client .gpu-1 cuda-12 !qt ~os-rocky")

# ---- requests

IMPLICIT = "~platform==linux ~arch==x86_64 ~os==rocky-9"
WINDOWS = "~platform==windows ~arch==x86_64 ~os==windows-10"

requests: list[dict[str, Any]] = []


def request(
    name: str, description: str, wanted: str, *, implicit: str = IMPLICIT, expected: str = "solved", **options: object
) -> None:
    """Add one named request.

    `expected` is the status, with the failure kind or the error class; `options` are the keyword options of a solve
    that are not the default.
    """
    requests.append(
        {
            "name": name,
            "description": description,
            "requests": [*wanted.split(), *implicit.split()],
            "options": options,
            "expected": expected,
        }
    )


request("maya_lighting", "Maya 2024 lighting shot with Arnold", "maya-2024 mtoa light_kit shot_browser show_aurora")
request("maya_animation", "Animation on the running show", "maya anim_kit rig_kit camera_kit shot_browser show_aurora")
request("maya_legacy", "A show that still runs Python 2.7", "maya-2020 anim_kit rig_kit show_borealis shot_db")
request("maya_windows", "Modelling on Windows", "maya-2023+ asset_publisher geo_cache shot_browser", implicit=WINDOWS)
request("houdini_fx", "Effects with volumes and caches", "houdini fx_kit geo_cache shot_browser")
request("houdini_lookdev", "Look development in Houdini with Arnold", "houdini htoa look_kit")
request("houdini_crowd", "Crowds, with a tool that was not updated", "crowd_kit usd_pipeline shot_browser")
request("nuke_comp", "Compositing", "nuke comp_kit camera_kit shot_browser show_aurora")
request("nuke_archive", "Reopen a comp of the old show", "nuke comp_kit show_borealis python-3")
request("katana_lighting", "Lighting in Katana with RenderMan", "katana light_kit prman prman_katana")
request("blender_layout", "Layout in Blender", "blender layout_kit camera_kit shot_db")
request("texture_paint", "Texture painting", "mari texture_kit color_config shot_db")
request("usd_shell", "Command line tools on the newest Python", "python-3.11 usd_pipeline oiio alembic")
request("review", "Review session", "review_kit shot_browser show_aurora-1.7")
request("farm_arnold", "CPU render job, no display", "render_blade arnold usd_pipeline render_submit")
request("farm_redshift", "GPU render job of a Maya scene", "gpu_blade redshift maya-2024 render_submit")
request("supervisor", "Three applications at once", "maya houdini nuke shot_browser usd_pipeline")
request(
    "two_teams", "Look and light with the older image library", "light_kit look_kit crowd_kit oiio-2.4 shot_browser"
)
request("build_geo_cache", "Build environment of a library", "geo_cache gcc cmake python-3.10", building=True)
request("denoise", "Denoising where GPU and CPU libraries are at hand", "denoiser-2 cuda tbb embree")
request("denoise_intersect", "The same, by the number of packages that it shares", "denoiser-2 cuda tbb embree",
        variant_select_mode="intersection_priority")  # fmt: skip

request("conflict_two_pythons", "Maya 2024 beside Nuke 13", "maya-2024 nuke-13", expected="failed DependencyConflicts")
request("conflict_gpu", "A GPU renderer on a CPU blade", "render_blade redshift maya-2024",
        expected="failed DependencyConflicts")  # fmt: skip
request("reduction_vray", "V-Ray 5 in Maya 2024", "vray_maya vray-5 maya-2024", expected="failed TotalReduction")
request("cycle_review", "The new review tools", "review_sync shot_browser", expected="failed Cycle")
request("missing_library", "Groom with the newest tool", "groom_kit maya shot_browser",
        expected="error PackageFamilyNotFoundError")  # fmt: skip
request("missing_tolerated", "The same, where a missing family rules out a variant only", "groom_kit maya shot_browser",
        error_on_missing_variant_requires=False)  # fmt: skip
request("missing_version", "A version that does not exist", "houdini-21 fx_kit", expected="error PackageNotFoundError")


def write(path: Path, key: str, entries: Iterable[dict[str, Any]]) -> None:
    """Write one entry a line, so that a change shows as the lines it changes."""
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    path.write_text(f'{{"{key}": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    write(HERE / "packages.json", "packages", packages)
    write(HERE / "requests.json", "requests", requests)
