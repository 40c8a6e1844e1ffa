// The frame of a page: theme switch, search dialog, sidebars, the place in the contents, and a way by
// keyboard into what scrolls. It stands in for the theme's scripts and Bootstrap's (94 kB).
(() => {
  "use strict";
  const root = document.documentElement;
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Some browsers keep nothing for pages from disk; the choice then lasts for the page.
  function keep(store, key, value) {
    try {
      window[store].setItem(key, value);
    } catch { /* nothing is kept */ }
  }
  function kept(store, key) {
    try {
      return window[store].getItem(key);
    } catch {
      return null;
    }
  }

  /* ------------------------------------------------------------ theme */
  const MODES = { auto: "as the system", light: "light", dark: "dark" };
  const isDark = matchMedia("(prefers-color-scheme: dark)");

  function setMode(mode) {
    root.dataset.mode = mode;
    root.dataset.theme = mode === "auto" ? (isDark.matches ? "dark" : "light") : mode;
    for (const button of all(".theme-switch-button")) {
      button.setAttribute("aria-label", `Colours: ${MODES[mode]}. Press for ${MODES[next(mode)]}.`);
      button.title = `Colours: ${MODES[mode]}`;
    }
  }
  // From "as the system" to its opposite first, so that the first press is always seen.
  function next(mode) {
    const order = isDark.matches ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
    return order[(order.indexOf(mode) + 1) % order.length];
  }
  const mode = () => (root.dataset.mode in MODES ? root.dataset.mode : "auto");
  setMode(mode());
  isDark.addEventListener("change", () => setMode(mode()));
  for (const button of all(".theme-switch-button")) {
    button.addEventListener("click", () => {
      setMode(next(mode()));
      keep("localStorage", "mode", mode());
      keep("localStorage", "theme", root.dataset.theme);
    });
  }

  /* ------------------------------------------------------------ projector */
  // ?projector=on: large type and nothing beside the text, on every page of this tab until it is left.
  const asked = new URLSearchParams(location.search).get("projector");
  if (asked) keep("sessionStorage", "projector", asked);
  if ((asked ?? kept("sessionStorage", "projector")) === "on") {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = document.currentScript.src.replace(/frame\.js.*/, "projector.css");
    document.head.append(style);
    const leave = document.createElement("button");
    leave.type = "button";
    leave.className = "leave-projector";
    leave.textContent = "Leave projector mode";
    leave.addEventListener("click", () => {
      keep("sessionStorage", "projector", "off");
      style.remove();
      leave.remove();
    });
    document.body.append(leave);
  }

  /* ------------------------------------------------------------ what opens over the page */
  // While a panel is open, nothing outside it takes the focus; closing gives it back.
  function shutOut(panel) {
    const outside = [];
    for (let node = panel; node !== document.body; node = node.parentElement) {
      outside.push(...[...node.parentElement.children].filter((other) => other !== node
        && !other.inert && !other.matches("script, .overlay, .skip-link")));
    }
    for (const node of outside) node.inert = true;
    const before = document.activeElement;
    return () => {
      for (const node of outside) node.inert = false;
      before?.focus({ preventScroll: true });
    };
  }

  /* ------------------------------------------------------------ search */
  const search = one(".search-button__wrapper");
  const isOpen = () => search.classList.contains("show");
  const field = search && one("input", search);
  function toggleSearch(open = !isOpen()) {
    if (open === isOpen()) return;
    search.classList.toggle("show", open);
  }
  if (search) {
    // Whoever closes the dialog (a script that follows a result) does it by its class.
    let release = null;
    new MutationObserver(() => {
      if (isOpen() === Boolean(release)) return;
      if (isOpen()) {
        release = shutOut(search);
        field.focus();
        field.select();
      } else {
        release();
        release = null;
      }
    }).observe(search, { attributeFilter: ["class"] });
    for (const button of all(".search-button__button")) button.addEventListener("click", () => toggleSearch(true));
    one(".search-button__overlay", search)?.addEventListener("click", () => toggleSearch(false));
    search.addEventListener("keydown", (event) => { if (event.key === "Escape") toggleSearch(false); });
    const isMac = /^(Mac|iP)/i.test(navigator.platform);
    if (isMac) for (const key of all(".kbd-shortcut__modifier")) key.textContent = "⌘";
    addEventListener("keydown", (event) => {
      const modifier = isMac ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
      if (!modifier || event.shiftKey || event.altKey || event.key.toLowerCase() !== "k") return;
      event.preventDefault();
      toggleSearch();
    });
  }

  /* ------------------------------------------------------------ sidebars */
  // Wide pages show them beside the text, where the first can be hidden; on narrow ones they are dialogs.
  // The theme moves them by the state of a hidden checkbox.
  function sidebar(name, selector, toggleSelector, wideFrom) {
    const box = document.getElementById(`pst-${name}-sidebar-checkbox`);
    const panel = one(selector), button = one(toggleSelector);
    if (!box || !panel || !button) return;
    panel.id ||= `${name}-sidebar`;
    button.setAttribute("aria-controls", panel.id);
    const wide = matchMedia(`(min-width: ${wideFrom}px)`);
    let release = null;
    function show() {
      const overPage = box.checked && !wide.matches;
      button.setAttribute("aria-expanded", String(wide.matches !== box.checked));
      if (overPage === Boolean(release)) return;
      if (overPage) {
        panel.dataset.role ??= panel.getAttribute("role") ?? "";
        panel.setAttribute("role", "dialog");
        panel.setAttribute("aria-modal", "true");
        release = shutOut(panel);
        one("a, button", panel)?.focus({ preventScroll: true });
      } else {
        panel.setAttribute("role", panel.dataset.role);
        panel.removeAttribute("aria-modal");
        release();
        release = null;
      }
    }
    const set = (checked) => { box.checked = checked; show(); };
    button.addEventListener("click", () => set(!box.checked));
    box.addEventListener("change", show);
    wide.addEventListener("change", () => set(false));
    panel.addEventListener("keydown", (event) => { if (event.key === "Escape" && release) set(false); });
    panel.addEventListener("click", (event) => { if (event.target.closest("a") && release) set(false); });
    show();
  }
  sidebar("primary", ".bd-sidebar-primary", ".primary-toggle", 960);
  sidebar("secondary", ".bd-sidebar-secondary", ".secondary-toggle", 1200);

  // The list of pages stays where it was left; on a first visit the page's own line is in view.
  const pages = one(".bd-sidebar-primary");
  if (pages) {
    const place = Number.parseInt(kept("sessionStorage", "sidebar-scroll-top"), 10);
    const current = all(".active, .current", pages).at(-1);
    if (place >= 0) pages.scrollTop = place;
    else if (current && current.offsetTop > innerHeight / 2) pages.scrollTop = current.offsetTop - innerHeight / 4;
    addEventListener("pagehide", () => keep("sessionStorage", "sidebar-scroll-top", pages.scrollTop));
  }

  /* ------------------------------------------------------------ the place in the contents */
  const links = new Map(all(".page-toc a[href^='#']").map((link) => [link.hash.slice(1), link]));
  const headings = [...links.keys()].map((id) => document.getElementById(decodeURIComponent(id))).filter(Boolean);
  const line = () => innerHeight * 0.3;
  function mark() {
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top <= line()).at(-1);
    for (const [id, link] of links) {
      const here = passed?.id === decodeURIComponent(id);
      link.parentElement.classList.toggle("active", here);
      if (here) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    }
  }
  let due = 0;
  function scrolled() {
    document.body.classList.toggle("scrolled", scrollY > 8);
    if (headings.length) mark();
    due = 0;
  }
  addEventListener("scroll", () => { due ||= requestAnimationFrame(scrolled); }, { passive: true });
  scrolled();

  /* ------------------------------------------------------------ what scrolls sideways */
  const SCROLLERS = {
    "pre": "Code or output", "mjx-container[display=true]": "Equation", ".cell_output": "Output",
    ".pst-scrollable-table-container, .table-scroll": "Table",
  };
  const group = (node) => [node.getAttribute("role"), node.getAttribute("aria-label")];
  function reach() {
    const found = [];
    for (const [selector, name] of Object.entries(SCROLLERS)) {
      for (const node of all(`main :is(${selector})`)) found.push([node, name, node.scrollWidth > node.clientWidth]);
    }
    for (const [node, name, scrolls] of found) {
      if (scrolls && !node.hasAttribute("tabindex")) {
        node.tabIndex = 0;
        node.dataset.reach = "";
        if (!group(node).some(Boolean)) {
          node.setAttribute("role", "group");
          node.setAttribute("aria-label", `${name}, scrolls sideways`);
          node.dataset.reach = "named";
        }
      } else if (!scrolls && "reach" in node.dataset) {
        for (const key of ["tabindex", ...(node.dataset.reach ? ["role", "aria-label"] : [])]) node.removeAttribute(key);
        delete node.dataset.reach;
      }
    }
  }
  let timer = 0;
  const later = () => { clearTimeout(timer); timer = setTimeout(reach, 300); };
  addEventListener("resize", later);
  addEventListener("load", later);
  document.addEventListener("toggle", later, true);
  new MutationObserver(later).observe(root, { attributeFilter: ["data-math"] });
})();
