/* What every page needs: the theme, links between reports, and a few tools that the other
   scripts share as `screenbook`. Loaded before the page is drawn, so that it does not flash. */

"use strict";

window.screenbook = {
  /** Find one element, or all as an array. */
  one: (selector, root = document) => root.querySelector(selector),
  all: (selector, root = document) => [...root.querySelectorAll(selector)],

  /** Make an element: element("button", {type: "button"}, "Copy"). Text is never HTML. */
  element(name, attributes = {}, text = "") {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    return node;
  },

  /** The JSON that the page carries under an id. */
  payload: (id) => JSON.parse(document.getElementById(id).textContent),

  /** Compounds that the page knows: name in lower case to name, other name to name. */
  compounds: { names: new Map(), aliases: new Map(), selected: new Set() },

  /**
   * Rows as CSV or TSV. A spreadsheet would run text that begins like a formula, so such text
   * gets an apostrophe in front; numbers are left alone.
   */
  delimited(rows, separator) {
    const cell = (value) => {
      if (value === null || value === undefined) return "";
      if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
      const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value);
      return /["\n\r\t]/.test(text) || text.includes(separator)
        ? '"' + text.replaceAll('"', '""') + '"'
        : text;
    };
    return rows.map((row) => row.map(cell).join(separator)).join("\n") + "\n";
  },

  /** Hand a text to the reader as a file; nothing leaves the page. */
  download(name, text) {
    const type = name.endsWith(".csv") ? "text/csv" : "text/tab-separated-values";
    const address = URL.createObjectURL(new Blob([text], { type }));
    const link = screenbook.element("a", { href: address, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  },
};

/* Theme: light, dark, or what the system says; remembered where the browser allows it. */

const systemDark = window.matchMedia("(prefers-color-scheme: dark)");

const memory = {
  get: () => { try { return localStorage.getItem("screenbook-theme"); } catch { return null; } },
  set: (value) => { try { localStorage.setItem("screenbook-theme", value); } catch { /* private */ } },
};

function applyTheme() {
  const chosen = memory.get() || "auto";
  const dark = chosen === "dark" || (chosen === "auto" && systemDark.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  const label = document.querySelector("button.theme span");
  if (label) label.textContent = chosen;
  document.dispatchEvent(new Event("themechange"));
}

applyTheme();
systemDark.addEventListener("change", applyTheme);

function setUpTheme() {
  const button = screenbook.one("button.theme");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const order = ["auto", "light", "dark"];
    memory.set(order[(order.indexOf(memory.get() || "auto") + 1) % 3]);
    applyTheme();
  });
  applyTheme();
}

/* The contents list: open where it stands beside the text, with the section in view marked. */

function setUpContents() {
  const list = screenbook.one(".contents details");
  if (!list) return;
  const wide = window.matchMedia("(min-width: 70rem)");
  const fold = () => { list.open = wide.matches; };
  fold();
  wide.addEventListener("change", fold);
  const links = new Map(
    screenbook.all("a", list).map((link) => [link.getAttribute("href").slice(1), link]));
  const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  const mark = () => {
    const passed = headings.filter((h) => h.getBoundingClientRect().top < 120);
    const current = passed.length ? passed[passed.length - 1].id : "";
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  document.addEventListener("scroll", () => requestAnimationFrame(mark), { passive: true });
  mark();
}

/* Copy a command. */

function setUpCopying() {
  for (const button of screenbook.all("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {  // no permission: leave the text selected, to be copied by hand
        window.getSelection().selectAllChildren(source);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
}

/* Which reports there are is known after this page was written: series.js tells. */

function setUpSeries() {
  const series = window.screenbookSeries;
  const steps = screenbook.one(".bar .steps");
  if (!series || !steps) return;
  const at = series.findIndex((report) => report.notebook === document.body.dataset.notebook);
  if (at < 0) return;
  for (const old of screenbook.all("a[rel]", steps)) old.remove();
  const link = (report, rel, text) => screenbook.element(
    "a", { rel, href: encodeURI(report.href), title: report.title }, text);
  if (at > 0) steps.prepend(link(series[at - 1], "prev", "‹ " + series[at - 1].number));
  if (at + 1 < series.length) {
    steps.append(link(series[at + 1], "next", series[at + 1].number + " ›"));
  }
}

/* All folded code at once. */

function setUpCode() {
  const cells = screenbook.all("details.code");
  const contents = screenbook.one(".contents details");
  if (!cells.length || !contents) return;
  const button = screenbook.element(
    "button", { type: "button", class: "quiet" }, "Show all code");
  button.addEventListener("click", () => {
    const open = button.textContent.startsWith("Show");
    for (const cell of cells) cell.open = open;
    button.textContent = open ? "Hide all code" : "Show all code";
  });
  contents.append(button);
}

document.addEventListener("DOMContentLoaded", () => {
  setUpTheme();
  setUpContents();
  setUpCopying();
  setUpSeries();
  setUpCode();
});
