"""The reports in a real browser: they draw, sort, open, and complain about nothing."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.statistics.report_page import render_report
from tests.components.statistics.test_report_page import described, odd_table

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def dom(page: str, folder: Path, wishes: str = "") -> str:
    """Return the page's document after its script ran; a complaint on the console fails the test."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=4000", "--dump-dom"),
            f"{file.as_uri()}{wishes}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert not re.findall(r".*CONSOLE.*", done.stderr)
    return done.stdout


def names(document: str) -> list[str]:
    cells = re.findall(r'<td class="name"><button[^>]*><bdi>(.*?)</bdi>', document)
    return [html.unescape(re.sub(r"<wbr>", "", cell)) for cell in cells]


def table() -> pa.Table:
    draw = np.random.default_rng(1)
    return pa.table(
        {
            "b_mid": pa.array([float(n) for n in range(100)], mask=draw.random(100) < 0.3),
            "a_most": pa.array([1.5] * 100, mask=np.arange(100) < 90),
            "c_none": ["x", "y"] * 50,
        }
    )


def test_it_draws_every_column(tmp_path: Path) -> None:
    document = dom(render_report(described(all=table()), title="All & more"), tmp_path)
    assert names(document) == ["b_mid", "a_most", "c_none"]
    assert "<title>All &amp; more</title>" in document
    assert document.count('<svg width="200"') == 3
    assert 'aria-sort="ascending"' in document


def test_it_sorts_searches_and_opens(tmp_path: Path) -> None:
    page = render_report(described(all=table(), eval=table().slice(0, 50)))
    assert names(dom(page, tmp_path, "#sort=missing&down=1")) == ["a_most", "b_mid", "c_none"]
    found = dom(page, tmp_path, "#search=mid&open=1")
    assert names(found) == ["b_mid"]
    assert "1 of 3 columns" in found
    assert 'aria-expanded="true"' in found
    assert "Quantiles" in found


def test_what_changed_comes_first(tmp_path: Path) -> None:
    bins = [{"bin": "x", "baseline": 9, "observed": 1}, {"bin": "y", "baseline": 1, "observed": 9}]
    change = {
        "column": "c_none",
        "severity": "fail",
        "message": "it moved",
        "details": {"formula": "Largest difference.", "threshold": 0.1, "bins": bins},
    }
    old = described(all=table().drop(["b_mid"]))
    document = dom(render_report(described(all=table()), baseline=old, changes=[change]), tmp_path)
    assert document.index("it moved") < document.index('class="name"')
    assert "What changed: 1 wrong, 0 worth a look" in document
    assert "Largest difference.<br>" in document
    assert "0.1 allowed" in document


def test_odd_values_are_text(tmp_path: Path) -> None:
    document = dom(render_report(described(all=odd_table())), tmp_path, "#open=7")
    assert "<img" not in document
    assert len(names(document)) == 7
    assert "not UTF-8" in document or "bytes" in document


def test_a_thousand_columns_open_at_once(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    wide = pa.table({f"column_{place}": draw.normal(size=100) for place in range(1_000)})
    document = dom(render_report(described(train=wide, eval=wide)), tmp_path)
    ready = re.search(r'data-ready="(\d+)"', document)
    assert ready is not None
    assert int(ready[1]) < 2_000
    assert len(names(document)) == 1_000
    assert document.count('<svg width="200"') < 100  # what nobody sees is not drawn
