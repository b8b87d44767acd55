"""The page in a real browser, without a network: it draws, sorts and breaks no rule."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from archwright.report.html import render_html
from archwright.result import RunResult

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", "--dump-dom",
)  # fmt: skip

# Written before and after the page's own scripts: notes what goes wrong, then uses the page.
WATCH = """
window.problems = [];
addEventListener("error", (event) => problems.push(`error: ${event.message}`));
addEventListener("securitypolicyviolation", (event) =>
  problems.push(`policy: ${event.violatedDirective} ${event.blockedURI}`));
for (const level of ["error", "warn"]) {
  console[level] = (...words) => problems.push(`${level}: ${words.join(" ")}`);
}
"""
USE = """
function useFront(report) {
  const column = (n) => [...document.querySelectorAll("#front-table tbody tr")]
    .filter((row) => !row.hidden).map((row) => Number(row.cells[n].dataset.value));
  const heading = () => document.querySelectorAll("#front-table thead th")[3];
  const click = () => heading().querySelector("button").click();
  const marks = () => document.querySelectorAll("#plot-front .scatterlayer .point").length;
  report.first = column(3);
  click(); report.up = column(3);
  click(); report.down = column(3);
  report.sorted = heading().getAttribute("aria-sort");
  document.querySelector("button.more").click();
  report.all = column(3);
  report.marks = marks();
  const across = document.getElementById("front-x");
  across.value = "area_mm2";
  across.dispatchEvent(new Event("change"));
  report.axis = document.querySelector("#plot-front .xtitle").textContent;
  report.marksAfter = marks();
}
addEventListener("load", () => setTimeout(() => {
  const report = { problems, xss: window.xss === true };
  if (document.getElementById("front-table")) useFront(report);
  report.drawn = Object.fromEntries([...document.querySelectorAll(".plot")].map((plot) =>
    [plot.id, plot.querySelectorAll("path.point, .point path, path.js-line").length]));
  report.scroll = document.documentElement.scrollWidth - innerWidth;
  const place = document.createElement("pre");
  place.id = "probe";
  place.textContent = JSON.stringify(report);
  document.body.append(place);
}, 500));
"""


def _probed(page: str) -> str:
    """The page with the two scripts of this test, allowed by their hashes."""
    for script in (WATCH, USE):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        page = page.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    page = page.replace("<title>", f"<script>{WATCH}</script><title>", 1)
    return page.replace("</body>", f"<script>{USE}</script></body>")


def _opened(page: str, folder: Path, *flags: str) -> dict[str, Any]:
    """What the scripts noted, after the page was opened and used."""
    assert CHROMIUM is not None
    (folder / "report.html").write_text(_probed(page), encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    url = (folder / "report.html").as_uri()
    done = subprocess.run(
        [CHROMIUM, *FLAGS, *flags, profile, url],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, "the page's scripts did not run to their end"
    probe: dict[str, Any] = json.loads(unescape(found[1]))
    return probe


@pytest.mark.parametrize("window", ["1280,1000", "500,900"])
def test_the_page_draws_and_sorts_without_a_network(
    window: str, make_result: Callable[..., RunResult], tmp_path: Path
) -> None:
    attack = '<img src=x onerror="window.xss=true"></script><script>window.xss=true</script>'
    made = make_result(reason=attack, proposer=attack)
    probe = _opened(render_html(made), tmp_path, f"--window-size={window}")
    assert probe["problems"] == []
    assert not probe["xss"]
    latencies = sorted(judged.costs["latency_ms"].value for judged in made.front)
    assert len(latencies) > 25
    assert made.best is not None
    assert len(probe["first"]) == 25
    assert probe["first"][0] == made.best.costs["latency_ms"].value
    assert probe["up"] == latencies[:25]
    assert probe["down"] == latencies[::-1][:25]
    assert probe["sorted"] == "descending"
    assert sorted(probe["all"]) == latencies
    assert probe["marks"] == probe["marksAfter"] == len(latencies)
    assert probe["axis"].startswith("area, mm²")
    assert len(probe["drawn"]) == 6
    assert all(count > 0 for count in probe["drawn"].values())
    assert probe["scroll"] <= 0


def test_the_page_of_an_empty_front_draws_too(nothing_feasible: RunResult, tmp_path: Path) -> None:
    probe = _opened(render_html(nothing_feasible), tmp_path)
    assert probe["problems"] == []
    assert probe["drawn"]["plot-curve"] > 0


def test_the_policy_stops_a_script_that_slipped_in(result: RunResult, tmp_path: Path) -> None:
    page = render_html(result).replace("<main>", "<main><script>window.xss = true</script>")
    probe = _opened(page, tmp_path)
    assert not probe["xss"]
    assert any(problem.startswith("policy: script-src") for problem in probe["problems"])
