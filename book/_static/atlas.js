/* The atlas: show the papers that contain all the words and have the verdict.
   Works from disk; without it the whole table stays in view. The address may preset both fields:
   atlas.html?q=entropy&verdict=planned */
(function () {
  "use strict";

  function plain(text) {
    return text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  }

  function start(form) {
    var box = form.closest(".atlas-box");
    var shown = form.querySelector(".atlas-shown");
    var rows = Array.prototype.map.call(box.querySelectorAll("tbody tr"), function (row) {
      return { element: row, text: plain(row.textContent), verdict: row.dataset.verdict };
    });

    function apply() {
      var words = plain(form.elements.q.value).split(/\s+/).filter(Boolean);
      var verdict = form.elements.verdict.value;
      var count = 0;
      rows.forEach(function (row) {
        var hit = (!verdict || row.verdict === verdict) &&
          words.every(function (word) { return row.text.indexOf(word) >= 0; });
        row.element.hidden = !hit;
        count += hit ? 1 : 0;
      });
      var text = count + " of " + rows.length + " papers";
      if (shown.textContent !== text) shown.textContent = text;
    }

    function reveal() {
      // A link to one paper shows it even when the filter would hide it.
      var row = /^#paper-\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
      if (row && row.hidden) {
        form.reset();
        apply();
        row.scrollIntoView();
      }
    }

    var preset = new URLSearchParams(location.search);
    form.elements.q.value = preset.get("q") || "";
    form.elements.verdict.value = preset.get("verdict") || "";
    if (form.elements.verdict.selectedIndex < 0) form.elements.verdict.value = "";
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    form.addEventListener("input", apply);
    form.addEventListener("change", apply);
    window.addEventListener("hashchange", reveal);
    form.hidden = false;
    apply();
    reveal();
  }

  function all() {
    Array.prototype.forEach.call(document.querySelectorAll("form.atlas-filter"), start);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", all);
  else all();
})();
