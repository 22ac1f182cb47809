/* Tables: sort, filter, leaf through, download. The page carries all rows as JSON, column by
   column, and the first of them as plain HTML for readers without scripts. */

"use strict";

(() => {
  const { element, one, all, compounds } = screenbook;

  /** A number as text.py's number() prints it. */
  function printNumber(value, decimals) {
    if (value === 0) return "0";
    const size = Math.abs(value);
    let text = size.toFixed(decimals);
    if (Number(text) === 0) {
      text = size.toExponential(1).replace("-", "−");
    } else {
      const [whole, fraction] = text.split(".");
      const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
      text = fraction === undefined ? grouped : grouped + "." + fraction;
    }
    return (value < 0 ? "−" : "") + text;
  }

  function print(column, value) {
    if (value === null) return "–";
    if (column.type === "number") return printNumber(value, column.decimals);
    if (column.type === "boolean") return value ? "yes" : "no";
    return value;
  }

  const heading = (column) => column.unit ? `${column.name} (${column.unit})` : column.name;

  class Table {
    constructor(figure) {
      this.figure = figure;
      Object.assign(this, screenbook.payload(figure.id + "-data"));
      this.count = this.data.length ? this.data[0].length : 0;
      this.compoundColumn = this.columns.findIndex((c) => c.name === "compound");
      this.original = Array.from({ length: this.count }, (_, i) => i);
      this.text = this.original.map(
        (i) => this.columns.map((c, j) => print(c, this.data[j][i])).join("\n").toLowerCase());
      this.sorted = { column: -1, direction: 0 };
      this.from = 0;
      this.showAll = false;
      this.onlySelected = false;
      this.rememberCompounds();
      this.buildHeads();
      this.buildTools();
      this.update();
    }

    compoundOf(row) {
      return this.compoundColumn < 0 ? null : this.data[this.compoundColumn][row];
    }

    rememberCompounds() {
      if (this.compoundColumn < 0) return;
      const aliases = this.columns.findIndex((c) => c.name === "aliases");
      for (let i = 0; i < this.count; i++) {
        const name = this.compoundOf(i);
        if (!name) continue;
        compounds.names.set(name.toLowerCase(), name);
        if (aliases < 0 || !this.data[aliases][i]) continue;
        for (const other of this.data[aliases][i].split(";")) {
          if (other.trim()) compounds.aliases.set(other.trim().toLowerCase(), name);
        }
      }
    }

    buildHeads() {
      this.heads = all("thead th", this.figure);
      this.heads.forEach((head, j) => {
        const button = element("button", { type: "button" });
        button.append(...head.childNodes);
        head.append(button);
        button.addEventListener("click", () => this.sortBy(j));
      });
    }

    buildTools() {
      const tools = element("div", { class: "tools" });
      this.filter = element("input", {
        type: "search",
        placeholder: "Filter",
        "aria-label": "Filter rows by text, or by a condition such as: column < 0.5",
        title: "Text, or a condition such as: column < 0.5; separate several by semicolons",
      });
      this.filter.addEventListener("input", () => { this.from = 0; this.update(); });
      const button = (text, action, title = "") => {
        const made = element("button", { type: "button", ...(title && { title }) }, text);
        made.addEventListener("click", action);
        return made;
      };
      this.status = one(".rows", this.figure);
      this.status.setAttribute("aria-live", "polite");
      this.back = button("Previous", () => { this.from -= this.page; this.update(); });
      this.forth = button("Next", () => { this.from += this.page; this.update(); });
      this.whole = button("Show all", () => { this.showAll = !this.showAll; this.update(); });
      this.chosen = button("Selected only", () => {
        this.onlySelected = !this.onlySelected;
        this.from = 0;
        this.update();
      });
      const note = "All rows. Text that a spreadsheet would take for a formula gets an apostrophe.";
      tools.append(
        this.filter, this.status, this.chosen, this.back, this.forth, this.whole,
        button("CSV", () => this.save(",", ".csv"), note),
        button("TSV", () => this.save("\t", ".tsv"), note));
      one("figcaption", this.figure).after(tools);
    }

    save(separator, ending) {
      const rows = this.original.map((i) => this.data.map((values, j) =>
        this.columns[j].type === "boolean" && values[i] !== null
          ? print(this.columns[j], values[i]) : values[i]));
      const text = screenbook.delimited([this.columns.map(heading), ...rows], separator);
      screenbook.download(this.file + ending, text);
    }

    /** First click: upwards; second: downwards; third: as the notebook ordered it. */
    sortBy(column) {
      const again = this.sorted.column === column;
      const direction = again ? [1, -1, 0][this.sorted.direction === 1 ? 1 : 2] : 1;
      this.sorted = { column: direction ? column : -1, direction };
      this.heads.forEach((head, j) => {
        if (j === this.sorted.column) {
          head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        } else head.removeAttribute("aria-sort");
      });
      this.from = 0;
      this.update();
    }

    /** Rows that pass the filter, in the order asked for; what is missing comes last. */
    rows() {
      const tests = this.filter.value.split(";").map((clause) => this.test(clause.trim()));
      let rows = this.original.filter((i) => tests.every((passes) => passes(i)));
      if (this.onlySelected) rows = rows.filter((i) => compounds.selected.has(this.compoundOf(i)));
      const { column, direction } = this.sorted;
      if (column < 0) return rows;
      const values = this.data[column];
      const compare = this.columns[column].type === "text"
        ? (a, b) => a.localeCompare(b, "en", { numeric: true })
        : (a, b) => a - b;
      return rows.sort((i, k) => {
        const [a, b] = [values[i], values[k]];
        if (a === null || b === null) return (a === null) - (b === null);
        return direction * compare(a, b);
      });
    }

    /** "dose >= 1" compares numbers; anything else must occur in the row, word by word. */
    test(clause) {
      const match = clause.match(/^(.+?)\s*(<=|>=|<|>)\s*([-+]?\d*\.?\d+(?:e[-+]?\d+)?)$/i);
      const column = match
        ? this.columns.findIndex((c) => c.name.toLowerCase() === match[1].toLowerCase()) : -1;
      if (column >= 0 && this.columns[column].type === "number") {
        const limit = Number(match[3]);
        const holds = {
          "<": (v) => v < limit, ">": (v) => v > limit,
          "<=": (v) => v <= limit, ">=": (v) => v >= limit,
        }[match[2]];
        return (i) => this.data[column][i] !== null && holds(this.data[column][i]);
      }
      const words = clause.toLowerCase().split(/\s+/).filter(Boolean);
      return (i) => words.every((word) => this.text[i].includes(word));
    }

    /** Leaf to the first row of a compound that was just selected. */
    follow() {
      if (this.compoundColumn < 0) return 0;
      if (!compounds.selected.size) this.onlySelected = false;
      const rows = this.rows();
      const first = rows.findIndex((i) => compounds.selected.has(this.compoundOf(i)));
      if (first >= 0 && !this.showAll) this.from = Math.floor(first / this.page) * this.page;
      this.update();
      return this.original.filter((i) => compounds.selected.has(this.compoundOf(i))).length;
    }

    update() {
      const rows = this.rows();
      const size = this.showAll ? Math.max(1, rows.length) : this.page;
      this.from = Math.max(0, Math.min(this.from, Math.floor((rows.length - 1) / size) * size));
      const shown = rows.slice(this.from, this.from + size);
      const body = one("tbody", this.figure);
      body.replaceChildren(...shown.map((i) => this.row(i)));
      const total = this.count.toLocaleString("en");
      const found = rows.length < this.count ? `${rows.length.toLocaleString("en")} found of ` : "";
      const onePage = rows.length === this.count && shown.length === this.count;
      this.status.textContent = onePage
        ? `${total} row${this.count === 1 ? "" : "s"}`
        : rows.length
        ? `${this.from + 1}–${this.from + shown.length} of ${found}${total} rows`
        : `none of ${total} rows`;
      this.back.disabled = this.from === 0;
      this.forth.disabled = this.from + size >= rows.length;
      this.back.hidden = this.forth.hidden = this.showAll || this.count <= this.page;
      this.whole.hidden = this.count <= this.page;
      this.whole.textContent = this.showAll ? "Show pages" : "Show all";
      this.chosen.hidden = this.compoundColumn < 0 || !compounds.selected.size;
      this.chosen.setAttribute("aria-pressed", this.onlySelected);
      this.filter.hidden = this.count <= 5;
    }

    row(i) {
      const row = element("tr");
      if (compounds.selected.has(this.compoundOf(i))) row.className = "selected";
      this.columns.forEach((column, j) => {
        const text = print(column, this.data[j][i]);
        const cell = j ? element("td") : element("th", { scope: "row" });
        cell.className = column.type;
        if (j === this.compoundColumn && this.data[j][i]) {
          const pick = element("button", { type: "button", class: "pick" }, text);
          pick.addEventListener("click", () => screenbook.toggle(text));
          cell.append(pick);
        } else cell.textContent = text;
        row.append(cell);
      });
      return row;
    }
  }

  const tables = all("figure.table").map((figure) => new Table(figure));

  document.addEventListener("compounds", (event) => {
    for (const table of tables) event.detail.rows += table.follow();
  });
})();
