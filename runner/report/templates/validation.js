"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const rows = all("tr.check");
  const search = document.getElementById("search");
  const layer = document.getElementById("layer");
  const tiles = all(".tile");
  const shown = document.getElementById("shown");

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const off = new Set(
      tiles.filter((t) => t.getAttribute("aria-pressed") === "false").map((t) => t.dataset.status),
    );
    let count = 0;
    for (const row of rows) {
      const text = row.dataset.text.toLowerCase();
      const ok =
        !off.has(row.dataset.status) &&
        (!layer.value || row.dataset.layer === layer.value) &&
        words.every((word) => text.includes(word));
      row.hidden = !ok;
      count += ok;
    }
    for (const body of all(".checks > tbody")) body.hidden = !body.querySelector("tr.check:not([hidden])");
    for (const card of all("details.card.group")) {
      const left = all("tr.check:not([hidden])", card).length;
      card.hidden = !left;
      if (left && (words.length || layer.value)) card.open = true;
    }
    shown.textContent = `${count} of ${rows.length} checks shown`;
    document.getElementById("nothing").hidden = count > 0 || rows.length === 0;
  }

  function value(row, index) {
    const cell = row.cells[index];
    const raw = cell.dataset.value ?? cell.textContent.trim();
    return raw !== "" && !Number.isNaN(Number(raw)) ? Number(raw) : raw;
  }

  function sort(header) {
    const table = header.closest("table");
    const up = header.getAttribute("aria-sort") !== "ascending";
    for (const other of all("th[aria-sort]", table)) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    for (const body of table.tBodies) {
      const movable = [...body.rows].filter((row) => !row.classList.contains("layer"));
      movable.sort((one, two) => {
        const [a, b] = [value(one, header.cellIndex), value(two, header.cellIndex)];
        const order =
          typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
        return up ? order : -order;
      });
      body.append(...movable);
    }
  }

  for (const header of all("th[aria-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sort(header));
  }
  for (const tile of tiles) {
    tile.addEventListener("click", () => {
      tile.setAttribute("aria-pressed", String(tile.getAttribute("aria-pressed") === "false"));
      filter();
    });
  }
  const layers = [...new Set(rows.map((row) => row.dataset.layer))];
  layer.append(...layers.map((name) => new Option(name, name)));
  search.addEventListener("input", filter);
  layer.addEventListener("change", filter);
  document.getElementById("expand").addEventListener("click", (event) => {
    const open = event.target.getAttribute("aria-pressed") !== "true";
    event.target.setAttribute("aria-pressed", String(open));
    event.target.textContent = open ? "Hide details" : "Show details";
    for (const detail of all("details.detail")) detail.open = open;
  });
  // On paper nothing can be unfolded: show everything that is not filtered out, then fold it again.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    for (const detail of folded) detail.open = true;
  });
  addEventListener("afterprint", () => {
    for (const detail of folded) detail.open = false;
  });
  document.querySelector(".tools").hidden = false;
  filter();
})();
