"""The report of four pages says what the ledger and the records say."""

import json
import re
from html import unescape

import reproducibility

from dlcore.records import PACKAGED


def test_the_report_has_four_pages(chromium, tmp_path):
    source = tmp_path / "report.html"
    source.write_text(reproducibility.written(), "utf8")
    page = chromium.new_page()
    page.goto(source.as_uri())
    made = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", made)) == 4
    page.close()


def test_its_numbers_are_those_of_the_records_and_the_ledger():
    text = re.sub(
        r"\s+", " ", unescape(re.sub(r"<style.*?</style>|<[^>]+>", " ", reproducibility.written(), flags=re.S))
    )
    lines = [line for path in PACKAGED.rglob("*.jsonl") for line in path.read_text("utf8").splitlines()]
    records = [json.loads(line) for line in lines]
    on_gpu = [r["seconds"] for r in records if r["environment"]["device"].startswith("cuda")]
    on_cpu = sum(r["seconds"] for r in records) - sum(on_gpu)
    assert (
        f"{len(records):,} recorded runs, {on_cpu / 3600:.0f} hours of CPU cores and {sum(on_gpu) / 3600:.1f} hours"
        in text
    )
    readme = (reproducibility.ROOT / "README.md").read_text("utf8")
    counted = re.search(r"All \d+ rows: (.*?); (\d+) exploratory", readme)
    assert counted[1] in text
    for claim in re.findall(r"^\| \d \| (.*?)<br>", readme, flags=re.M):
        assert re.sub(r"\\", "", claim) in text, claim
    assert "$" not in text
    assert "Communication with the original authors None." in text
