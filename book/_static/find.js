// The search: answers as one types, in groups, in the theme's dialog (Ctrl+K) and on the search page.
// The index is one script beside this one, loaded when a search field first gets the focus. The field is a
// combobox: arrow keys move through the results, Enter follows one, Escape closes.
(() => {
  "use strict";
  const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href);
  const here = new URL("find-index.js", document.currentScript.src).href;
  // The groups, those before others that answer as well; the number tips the scales between equal answers.
  const WEIGHT = {
    Equations: 0.6, Symbols: 0.6, Terms: 0.5, Papers: 0.4, Exercises: 0.4, Claims: 0.4, Pages: 0.3, Figures: 0.2, Functions: 0.1, Checks: 0,
  };
  const FEW = 4; // results a group in the dialog; the search page shows MANY
  const MANY = 50;
  const GREEK = Object.fromEntries(("α alpha β beta γ gamma δ delta ε epsilon ϵ epsilon ζ zeta η eta θ theta ι iota κ kappa "
    + "λ lambda μ mu ν nu ξ xi π pi ρ rho ϱ varrho σ sigma τ tau υ upsilon φ phi ϕ phi χ chi ψ psi ω omega").split(" ")
    .flatMap((letter, i, all) => i % 2 ? [] : [[letter, all[i + 1]]]));

  // Words in small letters between spaces; Greek letters by their names, so that π, \pi and pi are one.
  const normal = (text) => ` ${text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase()
    .replace(/[\u03b1-\u03c9\u03d1-\u03f5]/g, (letter) => ` ${GREEK[letter] ?? letter} `)
    .replace(/[^\p{L}\p{N}]+/gu, " ").trim()} `;

  let index = null;
  const load = () => index ??= new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = here;
    script.onload = () => done(prepare(window.bookIndex));
    script.onerror = () => fail(new Error("find-index.js did not load"));
    document.head.append(script);
  });

  function prepare({ pages, entries }) {
    return entries.map(([kind, title, names, text, page, anchor]) => ({
      kind, title, text, page: pages[page][1],
      address: new URL(pages[page][0] + (anchor && `#${anchor}`), root).href,
      forms: kind === "Symbols" ? title.split(", ") : [],
      inTitle: normal(kind === "Equations" ? title.replace(/ \(\d+\)$/, "") : title), inNames: normal(names), inText: normal(text),
    }));
  }

  // How well an entry answers: every word must begin a word of it, and counts most in the title.
  function score(entry, query, asked) {
    let sum = 0;
    for (const word of query) {
      const whole = ` ${word} `, start = word.length > 1 ? ` ${word}` : whole;
      const best = entry.inTitle.includes(whole) ? 12 : entry.inNames.includes(whole) ? 10
        : entry.inTitle.includes(start) ? 7 : entry.inNames.includes(start) ? 6
          : entry.inText.includes(whole) ? 2 : entry.inText.includes(start) ? 1 : 0;
      if (!best) return 0;
      sum += best;
    }
    sum /= query.length;
    if (query.length > 1 && entry.inTitle.includes(asked.normal.trimEnd())) sum += 2; // the words in this order
    const same = entry.forms.includes(asked.raw), small = asked.raw.toLowerCase();
    const otherCase = !same && entry.forms.some((form) => form.toLowerCase() === small); // s is not quite S
    if (entry.inTitle === asked.normal && entry.kind !== "Checks" && !otherCase) sum += 8; // a check has its equation's name
    if (same) sum += 20;
    else if (entry.forms.some((form) => normal(form) === asked.normal)) sum += 12;
    return sum + WEIGHT[entry.kind];
  }

  // Groups with their best results, the group with the best answer first.
  function find(entries, text) {
    const asked = { raw: text.trim(), normal: normal(text) };
    const query = asked.normal.trim().split(" ").filter(Boolean);
    if (!query.length) return [];
    const groups = new Map();
    for (const entry of entries) {
      const points = score(entry, query, asked);
      if (!points) continue;
      if (!groups.has(entry.kind)) groups.set(entry.kind, []);
      groups.get(entry.kind).push({ entry, points });
    }
    const found = [...groups].map(([kind, hits]) => {
      hits.sort((a, b) => b.points - a.points);
      return { kind, best: hits[0].points, entries: hits.map((hit) => hit.entry) };
    });
    return found.sort((a, b) => b.best - a.best);
  }

  // ---------------------------------------------------------------- what is shown
  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  // A line of text around the first word that was found, with the found words marked.
  function context(text, query) {
    const words = query.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.join("|")})`, "giu");
    const at = Math.max(0, text.search(pattern));
    const start = at > 60 ? text.lastIndexOf(" ", at - 40) + 1 : 0;
    const cut = text.slice(start, start + 150).replace(/\s\S*$/, (end) => start + 150 < text.length ? "" : end);
    const line = element("span", { class: "find-context" }, start ? "… " : "");
    let last = 0;
    for (const { 0: word, index: place } of cut.matchAll(pattern)) {
      line.append(cut.slice(last, place), element("mark", {}, word));
      last = place + word.length;
    }
    line.append(cut.slice(last), start + cut.length < text.length ? " …" : "");
    return line;
  }

  function option(entry, query, id) {
    const { kind, title, text, page, address } = entry;
    const parts = kind === "Equations" ? text.split("\n") : ["", text, ""];
    const row = element("a", { role: "option", id, href: address, tabindex: "-1", "aria-selected": "false" },
      element("span", { class: "find-title" }, title));
    if (parts[0]) row.append(element("span", { class: "find-formula" }, parts[0]));
    if (parts[1]) row.append(context(parts[1], query));
    const place = [parts[2], page].filter(Boolean).join(", ");
    if (place !== title) row.append(element("span", { class: "find-page" }, place));
    return row;
  }

  function attach(form, box, few) {
    const input = form.querySelector("input[type=search]");
    const dialog = form.closest(".search-button__wrapper");
    const id = `${few === FEW ? "find" : "found"}`;
    const list = element("div", {
      id: `${id}-list`, class: "find-list", role: "listbox", tabindex: "-1", "aria-label": "Search results",
    });
    const status = element("p", { class: "find-status", role: "status" });
    box.append(status, list);
    for (const [key, value] of Object.entries({
      role: "combobox", "aria-expanded": "false", "aria-controls": list.id, "aria-autocomplete": "list", "aria-haspopup": "listbox",
    })) input.setAttribute(key, value);
    let active = -1, timer = 0, opener = null;

    const options = () => [...list.querySelectorAll("[role=option]")];
    function choose(place) {
      const rows = options();
      rows[active]?.setAttribute("aria-selected", "false");
      active = rows.length ? (place + rows.length) % rows.length : -1;
      const row = rows[active];
      if (!row) return input.removeAttribute("aria-activedescendant");
      row.setAttribute("aria-selected", "true");
      input.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    }

    async function answer() {
      const text = input.value;
      let entries;
      try {
        entries = await load();
      } catch (error) {
        status.textContent = `The search cannot answer: ${error.message}.`;
        return;
      }
      if (text !== input.value) return;
      const query = normal(text).trim().split(" ");
      const groups = find(entries, text);
      let number = 0;
      active = -1;
      input.removeAttribute("aria-activedescendant");
      list.replaceChildren(...groups.map(({ kind, entries: all }) => {
        const title = element("div", { id: `${id}-${kind}`, class: "find-kind" }, kind);
        const rest = all.length > few ? element("span", { class: "find-rest" }, ` ${few} of ${all.length}`) : "";
        title.append(rest);
        return element("div", { role: "group", "aria-labelledby": title.id }, title,
          ...all.slice(0, few).map((entry) => option(entry, query, `${id}-${number++}`)));
      }));
      input.setAttribute("aria-expanded", String(number > 0));
      const total = groups.reduce((sum, group) => sum + group.entries.length, 0);
      const more = few === FEW && total > number ? "; Enter shows all" : "";
      status.dataset.for = text;
      status.textContent = !text.trim() ? "" : total ? `${total} result${total === 1 ? "" : "s"}${more}` : `Nothing found for ${text.trim()}`;
    }

    input.addEventListener("focus", (event) => {
      opener = event.relatedTarget ?? opener;
      load().catch(() => {});
    });
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(answer, 80);
    });
    input.addEventListener("keydown", (event) => {
      const rows = options();
      const step = { ArrowDown: active + 1, ArrowUp: active < 0 ? -1 : active - 1 }[event.key];
      if (step !== undefined && rows.length) {
        event.preventDefault();
        choose(step);
      } else if (event.key === "Enter" && rows[active]) {
        event.preventDefault();
        rows[active].click();
      } else if (event.key === "Escape" && dialog) {
        opener?.focus(); // the theme has closed the dialog
      }
    });
    list.addEventListener("click", (event) => {
      // A result on this page makes no new page: leave the dialog.
      if (event.target.closest("a") && dialog) dialog.classList.remove("show");
    });
    if (!dialog) {
      input.value = new URLSearchParams(location.search).get("q") ?? "";
      input.focus();
      if (input.value) answer();
    }
  }

  function start() {
    for (const form of document.querySelectorAll("form.bd-search")) {
      const dialog = form.closest(".search-button__search-container");
      const box = dialog ? dialog.appendChild(element("div", { class: "find-box" })) : document.getElementById("search-results");
      if (box) attach(form, box, dialog ? FEW : MANY);
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
