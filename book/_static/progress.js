// A reader's own record: which quizzes were passed or looked up, which exercises are done, and when. It is
// kept in this browser under one key and sent nowhere. A browser may refuse to keep anything: then one line
// says so, and everything else works.
window.progress = (() => {
  "use strict";
  const KEY = "entropy-lab-record", VERSION = 1;
  const STATES = ["seen", "passed", "done"]; // a later one is never taken back by an earlier one
  const WORDS = { seen: "answer seen", passed: "passed", done: "done" };
  const REFUSED = "This browser keeps nothing for this page (a private window, or its settings), so marks last until you leave it.";
  const FOREIGN = "The record in this browser was written by something else than this edition of the book; it is left as it is.";

  // What a text holds as a record: {name: {state, on}}. Throws a line that says what is wrong.
  function read(text) {
    let found;
    try { found = JSON.parse(text); } catch { throw new Error("That file is no record of this book: it is not JSON."); }
    if (found?.version !== VERSION || typeof found.marks !== "object" || !found.marks || Array.isArray(found.marks)) {
      throw new Error(`That file is no record of this book: it needs version ${VERSION} and marks.`);
    }
    for (const [name, mark] of Object.entries(found.marks)) {
      const known = /^(quiz|ex)-[a-z0-9-]+$/.test(name) && STATES.includes(mark?.state)
        && /^\d{4}-\d{2}-\d{2}$/.test(mark?.on) && Object.keys(mark).length === 2;
      if (!known) throw new Error(`That file is no record of this book: the mark ${name.slice(0, 60)} cannot be read.`);
    }
    return found.marks;
  }
  const write = (marks) => JSON.stringify({ version: VERSION, marks }, null, 1);

  let marks = {}, trouble = "";
  function load() {
    try {
      const text = localStorage.getItem(KEY);
      marks = text === null ? {} : read(text);
    } catch (error) {
      trouble = error instanceof DOMException ? REFUSED : FOREIGN;
    }
  }
  function keep() {
    if (trouble) return;
    try { localStorage.setItem(KEY, write(marks)); } catch { trouble = REFUSED; }
  }

  const today = () => {
    const now = new Date();
    return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
  };
  const rank = (mark) => STATES.indexOf(mark?.state);

  // Two records as one: of two marks of a name the further one, of two equal ones the earlier.
  function merged(ours, theirs) {
    const both = { ...ours };
    for (const [name, mark] of Object.entries(theirs)) {
      const own = both[name];
      if (rank(mark) > rank(own) || (rank(mark) === rank(own) && mark.on < own.on)) both[name] = mark;
    }
    return both;
  }

  let told = false;
  function tell(place) {
    if (!trouble || told || !place) return;
    told = true;
    const line = document.createElement("p");
    line.className = "explorable-note";
    line.setAttribute("role", "status");
    line.textContent = trouble;
    place.append(line);
  }

  function change(next, place) {
    marks = next;
    keep();
    tell(place);
    show();
  }

  const words = (mark) => (mark ? `${mark.state === "seen" ? "" : "✓ "}${WORDS[mark.state]} ${mark.on}` : "");
  function show() {
    for (const box of document.querySelectorAll("[data-done]")) box.checked = box.dataset.done in marks;
    for (const quiz of document.querySelectorAll("[data-quiz]")) {
      quiz.querySelector(".quiz-mark").textContent = words(marks[quiz.id]);
    }
    for (const page of document.querySelectorAll(".quiz-page")) {
      const rows = [...page.querySelectorAll("[data-id]")];
      for (const row of rows) row.querySelector(".quiz-mark").textContent = words(marks[row.dataset.id]);
      const count = rows.filter((row) => rank(marks[row.dataset.id]) > 0).length;
      page.querySelector("summary .quiz-mark").textContent = `${count} of ${rows.length}`;
    }
  }

  // The page of the record: export, import, erase.
  function manage(record) {
    const part = (name) => record.querySelector(`[name="${name}"]`);
    const say = (text) => { record.querySelector(".quiz-said").textContent = text; };
    const size = () => Object.keys(marks).length;
    part("export").addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([write(marks)], { type: "application/json" }));
      link.download = `entropy-lab-record-${today()}.json`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
      say(`Exported ${size()} marks.`);
    });
    part("import").addEventListener("change", async ({ target }) => {
      const [file] = target.files;
      if (!file) return;
      try {
        const before = size();
        change(merged(marks, read(await file.text())), record);
        say(`Merged: ${size() - before} new marks, ${size()} in all.`);
      } catch (error) {
        say(error.message);
      }
      target.value = "";
    });
    part("erase").addEventListener("click", () => {
      if (!window.confirm(`Erase your record in this browser (${size()} marks)? There is no way back but an exported file.`)) return;
      change({}, record);
      say("Your record is erased.");
    });
    for (const page of record.querySelectorAll(".quiz-page")) {
      page.open = [...page.querySelectorAll("[data-id]")].some((row) => row.dataset.id in marks);
    }
    record.querySelector("fieldset").disabled = false;
    tell(record.querySelector("form"));
  }

  function mark(name, state, place) {
    if (rank({ state }) <= rank(marks[name])) return;
    change({ ...marks, [name]: { state, on: today() } }, place);
  }

  load();
  for (const exercise of document.querySelectorAll(".exercise.admonition[id]")) {
    const title = exercise.querySelector(".admonition-title"), label = document.createElement("label");
    label.className = "quiz-done";
    label.innerHTML = '<input type="checkbox"> done';
    const box = label.firstChild;
    box.dataset.done = exercise.id;
    box.ariaLabel = `done: ${title.textContent.replace(/#$/, "").trim()}`;
    box.addEventListener("change", () => {
      const { [exercise.id]: _, ...others } = marks;
      if (box.checked) mark(exercise.id, "done", exercise);
      else change(others, exercise);
    });
    title.prepend(label);
  }
  window.addEventListener("storage", ({ key }) => { if (key === KEY || key === null) { load(); show(); } });
  show();
  const record = document.querySelector(".quiz-record");
  if (record) manage(record);
  return { mark };
})();
