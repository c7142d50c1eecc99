"use strict";
(() => {
  document.documentElement.classList.add("js");
  const byId = (id) => document.getElementById(id);
  const make = (name, text) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const size = (bytes) => {
    let unit = 0;
    while (bytes >= 1024 && unit < UNITS.length - 1) {
      bytes /= 1024;
      unit += 1;
    }
    const digits = unit === 0 || bytes >= 100 ? 0 : 1;
    return bytes.toFixed(digits) + " " + UNITS[unit];
  };

  // Tables: a button in each head sorts, a field leaves rows out.
  const value = (row, column) => {
    const cell = row.cells[column];
    const number = cell.dataset.v;
    return number === undefined ? cell.textContent : Number(number);
  };
  const compare = (one, other) =>
    typeof one === "number" && typeof other === "number"
      ? one - other
      : String(one).localeCompare(String(other), "en", { numeric: true });
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make("button", head.textContent);
      button.type = "button";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const numeric = head.classList.contains("num");
        const before = head.getAttribute("aria-sort");
        const down = before === null ? numeric : before === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows].sort((a, b) => {
          const order = compare(value(a, column), value(b, column));
          return down ? -order : order;
        });
        body.append(...rows);
      });
    });
  }
  const filter = byId("filter");
  if (filter) {
    const rows = [...byId("packages-table").tBodies[0].rows];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    filter.addEventListener("input", () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, index) => {
        row.hidden = !words.every((word) => texts[index].includes(word));
        if (!row.hidden) shown += 1;
      });
      byId("filtered").textContent = words.length ? shown + " of " + rows.length : "";
    });
  }

  // The map: a rectangle for each part, as large as what it takes.
  const svg = byId("map");
  const data = byId("space-data");
  if (!svg || !data) return;
  const maps = JSON.parse(data.textContent);
  const caption = byId("map-caption");
  const SVG = svg.namespaceURI;
  const HEAD = 19;
  const MAX_PARTS = 1500;
  const node = ([name, bytes, files, children], parent) => {
    // A directory that is nearly all of one directory is shown as one with it.
    while (parent && children.length === 1 && children[0][3].length && children[0][1] >= 0.97 * bytes) {
      name += "/" + children[0][0];
      children = children[0][3];
    }
    const self = { name, bytes, files, parent };
    self.children = children.map((child) => node(child, self));
    return self;
  };
  const roots = {};
  for (const kind of Object.keys(maps)) roots[kind] = node(maps[kind], null);
  let kind = Object.keys(roots)[0];
  let current = roots[kind];

  const path = (of) => {
    const names = [];
    for (let at = of; at.parent; at = at.parent) names.unshift(at.name);
    if (kind === "directories") return "/" + names.join("/");
    return names.length ? names.join("/") : "all packages";
  };
  const percent = (part, whole) => (whole ? ((100 * part) / whole).toFixed(1) : "0") + " %";
  const describe = (of) => {
    const files = of.files === 1 ? "1 file" : of.files.toLocaleString("en") + " files";
    const share = percent(of.bytes, roots[kind].bytes);
    return [path(of), size(of.bytes) + ", " + share + (of.files ? ", " + files : "")];
  };
  const tell = (of) => {
    const [name, facts] = describe(of);
    caption.replaceChildren(make("b", name), " \u2013 " + facts);
  };

  // Bruls, Huizing, van Wijk: rows whose rectangles are as square as can be.
  const squarify = (items, box) => {
    const placed = [];
    const total = items.reduce((sum, item) => sum + item.bytes, 0);
    let { x, y, w, h } = box;
    const scale = total > 0 ? (w * h) / total : 0;
    const worst = (row, side) => {
      const areas = row.map((item) => item.bytes * scale);
      const sum = areas.reduce((a, b) => a + b, 0);
      const most = Math.max(...areas);
      const least = Math.min(...areas);
      return Math.max((side * side * most) / (sum * sum), (sum * sum) / (side * side * least));
    };
    const place = (row) => {
      const sum = row.reduce((total, item) => total + item.bytes * scale, 0);
      const upright = w >= h;
      const side = upright ? h : w;
      const depth = side > 0 ? sum / side : 0;
      let at = upright ? y : x;
      for (const item of row) {
        const length = depth > 0 ? (item.bytes * scale) / depth : 0;
        placed.push(
          upright
            ? { item, x, y: at, w: depth, h: length }
            : { item, x: at, y, w: length, h: depth },
        );
        at += length;
      }
      if (upright) [x, w] = [x + depth, w - depth];
      else [y, h] = [y + depth, h - depth];
    };
    let row = [];
    for (const item of items) {
      const side = Math.min(w, h);
      if (row.length && worst([...row, item], side) > worst(row, side)) {
        place(row);
        row = [];
      }
      row.push(item);
    }
    if (row.length) place(row);
    return placed;
  };

  const parts = (of) => {
    const items = of.children.filter((child) => child.bytes > 0);
    const told = items.reduce((sum, child) => sum + child.bytes, 0);
    const files = items.reduce((sum, child) => sum + child.files, 0);
    if (of.bytes - told > 0) {
      items.push({
        name: "smaller ones",
        bytes: of.bytes - told,
        files: Math.max(0, of.files - files),
        parent: of,
        children: [],
        rest: true,
      });
    }
    return items.sort((a, b) => b.bytes - a.bytes);
  };
  const clip = (text, width) => {
    const fits = Math.floor((width - 10) / 6.7);
    if (text.length <= fits) return text;
    return fits < 6 ? "" : text.slice(0, fits - 1) + "\u2026";
  };
  const write = (group, text, x, y, kind) => {
    if (!text) return;
    const element = document.createElementNS(SVG, "text");
    element.setAttribute("x", x);
    element.setAttribute("y", y);
    if (kind) element.setAttribute("class", kind);
    if (kind === "size end") element.setAttribute("text-anchor", "end");
    element.textContent = text;
    group.append(element);
  };
  const draw = (at, kind) => {
    const { item, x, y, w, h } = at;
    const group = document.createElementNS(SVG, "g");
    const opens = item.children.length > 0;
    group.setAttribute("class", ["cell", kind, opens ? "open" : "", item.rest ? "rest" : ""].join(" "));
    group.setAttribute("role", "button");
    group.setAttribute("tabindex", "-1");
    group.setAttribute("aria-label", describe(item).join(", "));
    const rect = document.createElementNS(SVG, "rect");
    const box = { x, y, width: Math.max(w, 0), height: Math.max(h, 0) };
    for (const key of Object.keys(box)) rect.setAttribute(key, box[key].toFixed(2));
    group.append(rect);
    if (h >= 16 && w >= 36) {
      const name = clip(item.name, w);
      write(group, name, x + 5, y + 14);
      const facts = size(item.bytes);
      const room = w - 18 - name.length * 6.7;
      if (name && room > facts.length * 6.7) write(group, facts, x + w - 5, y + 14, "size end");
      else if (name && h >= 34 && w >= 52) write(group, facts, x + 5, y + 29, "size");
    }
    group.addEventListener("click", (event) => {
      event.stopPropagation();
      open(item);
    });
    group.addEventListener("mouseenter", () => tell(item));
    group.addEventListener("focus", () => tell(item));
    group.item = item;
    svg.append(group);
  };
  const open = (item) => {
    if (item.children.length > 0) show(item, true);
    else if (item.parent !== current && !item.rest) show(item.parent, true);
  };

  // Parts of parts, as far as there is room for their names.
  const fill = (of, box, depth, hue) => {
    squarify(parts(of), box).forEach((at, index) => {
      if (depth > 0 && (at.w < 3 || at.h < 3)) return;
      const nobody = kind === "packages" && at.item.children.length > 0;
      const tone = hue || (nobody ? "hx" : "h" + (index % 8));
      draw(at, tone + " d" + Math.min(depth, 3));
      const room = at.w >= 70 && at.h >= HEAD + 26 && svg.childElementCount < MAX_PARTS;
      if (at.item.children.length === 0 || depth === 4 || !room) return;
      const inside = { x: at.x + 3, y: at.y + HEAD, w: at.w - 6, h: at.h - HEAD - 3 };
      fill(at.item, inside, depth + 1, tone);
    });
  };
  const show = (of, focus) => {
    current = of;
    const width = svg.clientWidth || 900;
    const height = Math.round(Math.min(560, Math.max(300, width * 0.52)));
    svg.setAttribute("viewBox", "0 0 " + width + " " + height);
    svg.style.height = height + "px";
    svg.replaceChildren();
    fill(of, { x: 0, y: 0, w: width, h: height }, 0, "");
    const first = svg.querySelector(".cell");
    if (first) first.setAttribute("tabindex", "0");
    if (first && focus) first.focus({ preventScroll: true });
    const crumbs = [];
    for (let at = of; at; at = at.parent) {
      const target = at;
      const button = make("button", at.parent ? at.name : kind === "directories" ? "/" : "all packages");
      button.type = "button";
      if (target === of) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => show(target, false));
      crumbs.unshift(button);
      if (at.parent && at.parent.parent) crumbs.unshift("/");
    }
    byId("map-path").replaceChildren(...crumbs);
    tell(of);
  };

  svg.addEventListener("keydown", (event) => {
    const cells = [...svg.querySelectorAll(".cell")];
    const at = cells.indexOf(document.activeElement);
    if (at < 0) return;
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const step = steps[event.key];
    if (step) {
      const next = cells[(at + step + cells.length) % cells.length];
      cells[at].setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      open(cells[at].item);
    } else if (event.key === "Escape" || event.key === "Backspace") {
      if (current.parent) show(current.parent, true);
    } else {
      return;
    }
    event.preventDefault();
  });
  const buttons = [...document.querySelectorAll("#map-kind button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      kind = button.dataset.kind;
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      show(roots[kind], false);
    });
  }
  let drawn = 0;
  new ResizeObserver(() => {
    if (svg.clientWidth === drawn) return;
    drawn = svg.clientWidth;
    show(current, false);
  }).observe(svg);
})();
