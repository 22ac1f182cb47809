/* Find a compound: by name or other name, several separated by commas, everywhere on the page.
   Figures and tables listen for the event "compounds" and count what they found. */

"use strict";

(() => {
  const { one, all, element, compounds } = screenbook;
  const form = one("form.find");
  if (!form || !compounds.names.size) {
    screenbook.toggle = screenbook.select = () => {};
    return;
  }
  const input = one("input", form);
  const status = one("output", form);
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());

  const sorted = [...compounds.names.values()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  one("datalist", form).append(...sorted.map((name) => element("option", { value: name })));

  /** Names that a term means: the one it is, by any of its names; else all that contain it. */
  function lookUp(term) {
    const key = term.trim().toLowerCase();
    if (!key) return [];
    const exact = compounds.names.get(key) || compounds.aliases.get(key);
    if (exact) return [exact];
    if (key.length < 2) return [];
    const within = sorted.filter((name) => name.toLowerCase().includes(key));
    const other = [...compounds.aliases].filter(([alias]) => alias.includes(key)).map(([, n]) => n);
    return [...within, ...other];
  }

  function find(text) {
    const whole = lookUp(text);  // a name may hold a comma itself
    const names = whole.length ? whole : text.split(/[,;\n]/).flatMap(lookUp);
    compounds.selected = new Set(names);
    announce(text);
  }

  function announce(text) {
    const { selected } = compounds;
    const found = { points: 0, rows: 0 };
    document.dispatchEvent(new CustomEvent("compounds", { detail: found }));
    for (const card of all("[data-compound]")) {
      card.classList.toggle("selected", selected.has(card.dataset.compound));
    }
    const many = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
    const where = `${many(found.points, "point")}, ${many(found.rows, "row")}`;
    status.textContent = selected.size
      ? (selected.size === 1 ? where : `${many(selected.size, "compound")}: ${where}`)
      : text.trim() ? "not on this page" : "";
    remember();
  }

  /** Keep the selection in the address and in the links to the next reports. */
  function remember() {
    const names = [...compounds.selected].slice(0, 20);
    const hash = names.length ? "#compound=" + encodeURIComponent(names.join(",")) : "";
    for (const link of all(".bar a[rel]")) link.hash = hash;
    if (!hash && !location.hash.startsWith("#compound=")) return;
    try {
      history.replaceState(null, "", hash || location.pathname + location.search);
    } catch { /* some browsers refuse on file:// */ }
  }

  /** Select one compound, or let go of it if it is the only one selected. */
  screenbook.toggle = (name) => {
    const only = compounds.selected.size === 1 && compounds.selected.has(name);
    select(only ? "" : name);
  };

  /** Select one compound, whatever was selected before; none for "". */
  function select(name) {
    compounds.selected = new Set(name ? [name] : []);
    input.value = name;
    announce(name);
  }
  screenbook.select = select;

  let waiting = 0;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => find(input.value), 150);
  });

  document.addEventListener("DOMContentLoaded", () => {  // after report.js has set the links
    const match = location.hash.match(/^#compound=(.*)$/);
    if (!match) return;
    input.value = decodeURIComponent(match[1]);
    find(input.value);
  });
})();
