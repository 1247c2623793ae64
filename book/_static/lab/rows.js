// A reader's own rows: read in the page, checked, and nothing leaves the machine. Every fault is one sentence.
(function (lab) {
  "use strict";
  const LARGEST = 20e6, MOST = 200000, NOTHING = /^(|nan|na|n\/a|null|none|-|inf|-inf|infinity|-infinity)$/i;
  const { element } = lab.view;
  const fault = (words) => { throw new Error(words); };

  // Returns {cells, lines, names}: the rows' cells as text, the line each came from, and the header's names or null.
  lab.rows = function (text) {
    if (text.includes("\u0000") || text.includes("\ufffd")) fault("This is not a text file: rows of numbers are needed, as a spreadsheet exports them (CSV).");
    const all = text.replace(/^\ufeff/, "").split(/\r\n|\n|\r/).map((line, i) => [line.trim(), i + 1]).filter(([line]) => line && !line.startsWith("#"));
    if (!all.length) fault("There are no rows: the file or the field is empty.");
    const count = (mark) => all.slice(0, 20).reduce((n, [line]) => n + line.split(mark).length - 1, 0);
    const mark = count("\t") ? "\t" : count(";") ? ";" : count(",") ? "," : /\s+/;
    // with another separator a comma is a decimal comma, as 2,31
    const cells = all.map(([line]) => line.split(mark).map((c) => c.trim().replace(/^"(.*)"$/, "$1")).map((c) => (mark !== "," && /^-?\d*,\d+$/.test(c) ? c.replace(",", ".") : c)));
    const words = (row) => row.every((c) => isNaN(Number(c)) && !NOTHING.test(c)), header = cells.length > 1 && words(cells[0]);
    const lines = all.map((l) => l[1]).slice(header ? 1 : 0), names = header ? cells.shift() : null;
    if (cells.length > MOST) fault("There are " + cells.length.toLocaleString("en") + " rows; at most " + MOST.toLocaleString("en") + " are read.");
    cells.forEach(function (row, i) {
      if (row.length !== cells[0].length) fault("Line " + lines[i] + " has " + row.length + " columns, line " + lines[0] + " has " + cells[0].length + ".");
    });
    return { cells: cells, lines: lines, names: names };
  };
  // Returns columns `which` (all, where null) as rows of numbers.
  lab.numbers = function ({ cells, lines }, which) {
    return cells.map((row, i) => (which || row.map((_, j) => j)).map(function (j) {
      if (NOTHING.test(row[j])) fault("Line " + lines[i] + " has no number in column " + (j + 1) + (row[j] ? " (" + row[j] + ")" : "") + ".");
      const value = Number(row[j]);
      if (isNaN(value)) fault("Line " + lines[i] + " holds “" + row[j].slice(0, 30) + "”, which is not a number.");
      if (!isFinite(value)) fault("Line " + lines[i] + " holds “" + row[j].slice(0, 30) + "”, which is too large for a number.");
      return value;
    }));
  };
  // Returns a column as numbers of categories, and the categories in order.
  lab.categories = function (columns, lines, most) {
    const found = [...new Set(columns.flat())];
    columns.forEach((column) => column.forEach((c, i) => { if (NOTHING.test(c)) fault("Line " + lines[i] + " has an empty answer" + (c ? " (" + c + ")" : "") + "."); }));
    found.sort((a, b) => (isNaN(a) || isNaN(b) ? (a < b ? -1 : 1) : a - b));
    if (found.length > most) fault("There are " + found.length.toLocaleString("en") + " different values; at most " + most + " classes are compared. Are these classes, and not numbers?");
    const place = new Map(found.map((c, i) => [c, i]));
    return { codes: columns.map((column) => column.map((c) => place.get(c))), names: found };
  };

  // A field to paste into and to drop a file on: {box, text()}. `check` throws at a file's text that cannot be used, which
  // then never takes the place of what was there; `changed` is called with null or a sentence.
  lab.field = function (label, hint, check, changed) {
    const area = element("textarea", { "aria-label": label, placeholder: hint, spellcheck: "false" }), file = element("input", { type: "file", "aria-label": label + ", from a file", accept: ".csv,.tsv,.txt,text/*" });
    const box = element("div", { class: "dl-lab-field" }, element("label", {}, label, area), file);
    async function take(one) {
      if (!one) return;
      try {
        if (one.size > LARGEST) fault("The file has " + Math.round(one.size / 1e6) + " MB; at most " + LARGEST / 1e6 + " MB are read.");
        const text = await one.text();
        check(text);
        area.value = text;
        changed(null);
      } catch (error) {
        file.value = ""; // or the same file, mended, could not be chosen again
        changed("In " + one.name + ": " + error.message + " What was there stays.");
      }
    }
    file.addEventListener("change", () => take(file.files[0]));
    box.addEventListener("dragover", (event) => event.preventDefault());
    box.addEventListener("drop", function (event) { event.preventDefault(); take(event.dataTransfer.files[0]); });
    return { box: box, text: () => area.value, set: (text) => { area.value = text; } };
  };
})(window.dlLab);
