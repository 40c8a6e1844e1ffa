// Starts a lab: remembers the reader's JupyterHub, and runs Python in the page when asked, never before.
"use strict";
(() => {
  const HUB = "launch-hub";
  const PATIENCE = 60; // seconds until the reader is told what else works

  // A browser may forbid storage to a page from disk; the address then lasts as long as the page.
  let kept = "";
  const hub = () => { try { return localStorage.getItem(HUB) || kept; } catch { return kept; } };
  const keep = (address) => { kept = address; try { localStorage.setItem(HUB, address); } catch { /* see above */ } };

  // The address of a hub as the reader may paste it, from any of its pages; "" if it is none.
  function origin(text) {
    let address;
    if (/\s/.test(text)) return "";
    try { address = new URL(/^[a-z]+:\/\//i.test(text) ? text : `https://${text}`); } catch { return ""; }
    if (!/^https?:$/.test(address.protocol) || !/^localhost$|[.:]/.test(address.hostname)) return "";
    return address.origin + address.pathname.replace(/\/(hub|user)(\/.*)?$/, "").replace(/\/+$/, "");
  }

  function form(nav) {
    const made = document.createElement("form");
    made.innerHTML = '<label>Address of your JupyterHub <input type="text" inputmode="url" autocomplete="url" '
      + 'spellcheck="false" placeholder="https://hub.example.edu" required></label><button>Open the lab there</button>'
      + '<p role="status">Your browser keeps it, for all labs. The hub must have nbgitpuller.</p>';
    made.hidden = true;
    made.noValidate = true;
    nav.querySelector("ul").after(made);
    const input = made.querySelector("input");
    made.addEventListener("submit", (event) => {
      event.preventDefault();
      const address = origin(input.value.trim());
      input.setAttribute("aria-invalid", String(!address));
      if (!address) {
        made.querySelector("p").textContent = "That is no address of a hub. It looks like https://hub.example.edu.";
        input.focus();
        return;
      }
      keep(address);
      made.hidden = true;
      window.open(address + made.pull, "_blank", "noopener");
    });
    return made;
  }

  function hubs(nav) {
    const buttons = nav.querySelectorAll("button[data-pull]");
    if (!buttons.length) return;
    const ask = form(nav);
    const show = (button) => {
      ask.pull = button.dataset.pull;
      ask.querySelector("input").value = hub();
      ask.hidden = false;
      ask.querySelector("input").focus();
    };
    for (const part of nav.querySelectorAll(".launch-hub[hidden]")) part.hidden = false;
    for (const button of buttons) {
      button.addEventListener("click", () => {
        if (hub()) window.open(hub() + button.dataset.pull, "_blank", "noopener");
        else show(button);
      });
    }
    const change = document.createElement("button");
    change.type = "button";
    change.className = "launch-change";
    change.textContent = "Name the address of your hub";
    change.addEventListener("click", () => show(buttons[0]));
    nav.querySelector("div.launch-hub dd").append(" ", change);
  }

  // The lab in a frame below its buttons. Nothing of it is loaded before the click.
  function live(link) {
    const nav = link.closest("nav.launch");
    nav.querySelector(".launch-live")?.remove();
    const panel = document.createElement("section");
    panel.className = "launch-live";
    panel.setAttribute("aria-label", link.getAttribute("aria-label"));
    panel.innerHTML = '<div class="launch-bar"><p role="status"></p><a target="_blank" rel="noopener">Own window</a>'
      + '<button type="button">Close</button></div>';
    link.closest("li").append(panel);
    const say = (text) => { panel.querySelector("p").textContent = text; };
    const start = Date.now();
    let timer = 0;
    panel.querySelector("a").href = link.href;
    panel.querySelector("button").addEventListener("click", () => {
      clearInterval(timer);
      panel.remove();
      link.focus();
    });
    if (location.protocol === "file:") {
      panel.querySelector("a").remove();
      say("This page was opened from disk, and browsers start no Python there. Take one of the other ways.");
      return;
    }
    const frame = document.createElement("iframe");
    frame.title = link.getAttribute("aria-label");
    frame.src = link.href;
    panel.append(frame);
    const home = new URL("../static/pyodide/", link.href);
    const packages = new URL(link.dataset.lite, home);
    fetch(new URL("pyodide-lock.json", packages), { method: "HEAD" }).then((answer) => answer.ok, () => false).then((there) => {
      if (there) return;
      clearInterval(timer);
      say(`${packages.host} cannot be reached from here, and NumPy comes from there. Python itself will start, `
        + "a lab will not. The other ways do not need that address.");
    });
    say("The lab is on its way.");
    timer = setInterval(() => {
      if (frame.contentDocument?.querySelector(".jp-Cell")) {
        clearInterval(timer);
        say("Run the cells from the top with Shift+Enter. The first one waits until Python and its packages are here. "
          + `If it has no answer after ${PATIENCE} seconds, take one of the other ways.`);
      } else if (Date.now() - start > 1000 * PATIENCE) {
        clearInterval(timer);
        say(`Nothing came in ${PATIENCE} seconds. The other ways do not depend on it.`);
      }
    }, 500);
  }

  // From disk a browser shows a notebook as text instead of saving it; a script beside it brings it, packed.
  window.launch = {
    async save(name, packed) {
      const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await new Response(stream).blob());
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    },
  };
  function saveFromDisk(event) {
    event.preventDefault();
    const script = document.createElement("script");
    script.src = `${event.currentTarget.href}.js`;
    script.onload = script.onerror = () => script.remove();
    document.head.append(script);
  }

  for (const nav of document.querySelectorAll("nav.launch")) {
    if (location.protocol === "file:") {
      for (const link of nav.querySelectorAll("a.launch-download")) link.addEventListener("click", saveFromDisk);
    }
    hubs(nav);
    for (const link of nav.querySelectorAll("a.launch-tab")) {
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the reader wants a tab or a window of its own
        event.preventDefault();
        live(link);
      });
    }
  }
})();
