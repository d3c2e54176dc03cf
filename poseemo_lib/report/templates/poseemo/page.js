// Plain script of the page: figures, sorting, contents, code, light and dark. The page reads well without it.
(() => {
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // Code, and light or dark.
  const code = document.getElementById("show-code");
  code.addEventListener("click", () => {
    const shown = root.classList.toggle("with-code");
    code.setAttribute("aria-pressed", shown);
    code.textContent = shown ? "Hide code" : "Show code";
  });
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => {
    theme.textContent = dark() ? "Light" : "Dark";
    theme.setAttribute("aria-pressed", dark());
  };
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    name();
  });
  system.addEventListener("change", name);
  name();

  // Contents: folded where they would fill the screen; the section that is read is marked.
  if (matchMedia("(max-width: 63.99rem)").matches) document.querySelector(".contents details").open = false;
  const links = new Map(all(".contents a").map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
  const watch = new IntersectionObserver(
    (entries) => {
      const top = entries.find((entry) => entry.isIntersecting);
      if (!top) return;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(top.target.id).setAttribute("aria-current", "location");
    },
    { rootMargin: "0px 0px -70% 0px" },
  );
  links.forEach((_, id) => watch.observe(document.getElementById(id)));

  // Tables: a click on a column's name sorts by it; numbers the largest first; what is missing comes last.
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  const sort = (table, column, down) => {
    const key = (row) => row.cells[column].dataset.number;
    const rows = [...table.tBodies[0].rows];
    const numbers = rows.some(key);
    const value = (row) => (numbers ? (key(row) ? Number(key(row)) : null) : row.cells[column].textContent);
    rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return compare(x, y) * (down ? -1 : 1);
    });
    table.tBodies[0].append(...rows);
  };
  all("table.sortable").forEach((table) =>
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = [...table.tBodies[0].rows].some((row) => row.cells[column].dataset.number) ? "descending" : "ascending";
        const other = first === "descending" ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        all("thead th", table).forEach((th) => th.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        sort(table, column, order === "descending");
      });
    }),
  );

  // Interactive figures.
  const figures = all(".plotly-figure");
  const leastWidth = (layout) => `${layout.meta?.min_width ?? 0}px`;
  figures.forEach((box) => {
    const { data, layout, frames, config } = JSON.parse(box.querySelector("script").textContent);
    box.querySelectorAll("script, noscript").forEach((part) => part.remove());
    delete layout.width;
    box.style.minWidth = leastWidth(layout);
    box.style.height = `${layout.height ?? 450}px`;
    if (box.scrollWidth > box.parentElement.clientWidth) box.parentElement.tabIndex = 0;
    Plotly.newPlot(box, { data, layout: { ...layout, autosize: true }, frames, config: { ...config, responsive: true } });
  });
  // plotly rejects a promise without a reason when Pause ends an animation.
  addEventListener("unhandledrejection", (event) => event.reason === undefined && event.preventDefault());
  // A4 without its margins, in CSS pixels.
  const paper = Math.floor((180 / 25.4) * 96) - 2;
  addEventListener("beforeprint", () =>
    figures.forEach((box) => {
      box.style.minWidth = 0;
      Plotly.relayout(box, { autosize: false, width: paper });
    }),
  );
  addEventListener("afterprint", () =>
    figures.forEach((box) => {
      box.style.minWidth = leastWidth(box.layout);
      Plotly.relayout(box, { autosize: true, width: null });
    }),
  );
})();
