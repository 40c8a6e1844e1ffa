"""Every way to start a lab: the rows of buttons on chapter pages and under the title of each lab.

A way that cannot work is left out: Colab and a JupyterHub read the labs from the repository, whose
address may not be set yet; Python in the browser needs a web server, so its button waits, hidden,
until `make lite` builds the site for one. The notebook itself travels with the site.
"""

import ast
import base64
import gzip
import re
import shutil
import sys
from html import escape
from pathlib import Path
from urllib.parse import quote, urlencode

import records
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

# What a lab may import and still run in a browser, beside the standard library and this package.
BROWSER = {"numpy", "scipy", "sympy", "pandas", "matplotlib", "altair", "ipywidgets", "array_api_compat", "IPython"}
LITE_OFF = "data-lite hidden"  # `make lite` shows what carries this mark, and makes its data-to an href
COLAB_LINK = re.compile(r"\[Open in Colab\]\([^)]*\) (?:·|\\u00b7) ")  # as it stands in the JSON of a notebook
LITE_MEGABYTES = 26  # what the site sends until Python answers, unpacked; tests/browser/test_lite.py measures it

# Each way: its name, what it needs in two or three words, and in a sentence.
WAYS = {
    "tab": ("Run in this tab", f"{LITE_MEGABYTES} MB, no account",
            f"a current browser and patience: {LITE_MEGABYTES} MB come from this site, then NumPy and the other compiled "
            "packages from where the publisher of this site keeps them. No torch."),
    "colab": ("Colab", "a Google account", "a Google account. The second cell installs what the lab uses."),
    "hub": ("JupyterHub", "a hub with nbgitpuller",
            "an account at a hub that has nbgitpuller; the link copies the labs there and opens this one."),
    "download": ("Download", "", "Jupyter where you open it. The notebook has its outputs inside."),
    "machine": ("Your machine", "", "the folder of this book, git, make and Python 3.11. <code>make lab</code> opens "
                "JupyterLab; <code>make voila</code> shows the labs as apps, sliders live and code hidden."),
}


def third_party(sources):
    """Top-level names that code cells import or ask for with `runtime.need`, without the standard library."""
    found = set()
    for source in sources:
        tree = ast.parse(re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and "need" in [getattr(n, "attr", None) for n in (node.func, *node.args)]:
                found |= {n.value.split(".")[0] for n in ast.walk(node) if isinstance(n, ast.Constant)}
    return found - set(sys.stdlib_module_names) - {"labutils"}


def runs_in_browser(path):
    """True for a lab that needs nothing but the NumPy core (its set-up cell names torch if it needs it)."""
    sources = ["".join(c["source"]) for c in records.read(path)["cells"] if c["cell_type"] == "code"]
    extras = re.search(r'"entropy-lab\[([a-z,]+)\]', "\n".join(sources))
    if extras and "torch" in extras.group(1).split(","):
        return False
    return third_party(sources) <= BROWSER


def is_set(repository):
    """True once the repository has a real address: an owner's name with a dot cannot be registered."""
    found = re.fullmatch(r"https://github\.com/([^/]+)/[^/]+", repository)
    return bool(found) and "." not in found.group(1)


def colab(repository, branch, file):
    """The address that opens a notebook of a GitHub repository in Colab."""
    slug = repository.removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{slug}/blob/{branch}/{quote(file)}"


def pull(repository, branch, file):
    """What follows a hub's address: nbgitpuller copies the repository there and opens the notebook."""
    folder = repository.rsplit("/", 1)[1]
    query = {"repo": repository, "urlpath": f"lab/tree/{folder}/{file}", "branch": branch}
    return "/hub/user-redirect/git-pull?" + urlencode(query, quote_via=quote)


def title_of(notebook):
    """The first heading of a notebook."""
    text = "".join(notebook["cells"][0]["source"])
    return text.splitlines()[0].lstrip("# ").strip()


def question_of(notebook):
    """The question of a lab: the paragraph under its title, without marks."""
    parts = "".join(notebook["cells"][0]["source"]).split("\n\n")
    text = parts[1] if len(parts) > 1 else ""
    return " ".join(text.replace("**Question.**", "").replace("**", "").split())


def ways(env, docname, path):
    """[(way, tag, attributes)] for a lab, seen from the page that is being read."""
    options = env.config.html_theme_options
    repository = options.get("repository_url", "").removesuffix("/")
    branch = options.get("repository_branch") or "main"
    file = f"{docname}.ipynb"
    up = "../" * env.docname.count("/")
    found = []
    if runs_in_browser(path):
        lab = quote(file.removeprefix("notebooks/"))
        found.append(("tab", "a", f'{LITE_OFF} data-to="{up}lite/notebooks/index.html?path={lab}"'))
    if is_set(repository):
        found.append(("colab", "a", f'href="{escape(colab(repository, branch, file))}"'))
        after = pull(repository, branch, file)
        if hub := env.config.launch_hub.rstrip("/"):
            found.append(("hub", "a", f'href="{escape(hub + after)}"'))
        else:
            found.append(("hub", "button", f'type="button" data-pull="{escape(after)}" hidden'))
    found.append(("download", "a", f'href="{up}{quote(file)}" download'))
    return found


def row(env, labs, named):
    """The HTML for some labs: their buttons, and below what each way needs."""
    items, used = [], {"machine"}
    for lab in labs:
        docname = f"notebooks/{lab}"
        path = Path(env.srcdir) / f"{docname}.ipynb"
        notebook = records.read(path)
        title = escape(title_of(notebook))
        links = []
        for way, tag, attributes in ways(env, docname, path):
            used.add(way)
            name, short, _ = WAYS[way]
            short = short or f"notebook, {path.stat().st_size / 1000:.0f} kB"
            links.append(f'<{tag} class="launch-way launch-{way}" {attributes} aria-label="{name}: {title}">'
                         f"<span>{name} <small>{short}</small></span></{tag}>")
        head = ""
        if named:
            page = env.app.builder.get_relative_uri(env.docname, docname)
            head = f'<a class="launch-title" href="{page}">{title}</a><p>{escape(question_of(notebook))}</p>'
        items.append(f'<li>{head}<div class="launch-ways">{"".join(links)}</div></li>')
    hidden = {"tab": LITE_OFF, "hub": "" if env.config.launch_hub else "hidden"}
    needs = "".join(f'<div class="launch-{way}" {hidden.get(way, "")}><dt>{name}</dt><dd>needs {text}</dd></div>'
                    for way, (name, _, text) in WAYS.items() if way in used)
    if "colab" not in used:
        needs += ("<div><dt>Colab, JupyterHub</dt><dd>need the address of the book's repository, which is not set in "
                  "this copy: <code>make set-repo URL=...</code> sets it.</dd></div>")
    label = "Labs of this chapter" if named else "Ways to start this lab"
    return (f'<nav class="launch" aria-label="{label}"><ul>{"".join(items)}</ul>'
            f"<details><summary>What each way needs</summary><dl>{needs}</dl></details></nav>")


class LaunchDirective(SphinxDirective):
    """```{launch} lab [lab ...]```: the ways to start the labs of a page."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        labs = self.arguments[0].split()
        for lab in labs:
            path = Path(self.env.srcdir) / "notebooks" / f"{lab}.ipynb"
            if not path.is_file():
                raise self.error(f"no notebook notebooks/{lab}.ipynb")
            self.env.note_dependency(str(path))
        return [nodes.raw("", row(self.env, labs, named=True), format="html")]


def drop_colab_link(app, docname, source):
    """The launch link of the first cell serves Jupyter; on the page the row of buttons has it."""
    if docname.startswith("notebooks/"):
        source[0] = COLAB_LINK.sub("", source[0], count=1)


def under_title(app, doctree):
    """Each lab's page gets its buttons after the words under its title."""
    docname = app.env.docname
    if not docname.startswith("notebooks/") or not (Path(app.srcdir) / f"{docname}.ipynb").is_file():
        return
    section = next(doctree.findall(nodes.section), None)
    if section is None:
        return
    place = 1
    while place < len(section) and isinstance(section[place], nodes.paragraph):
        place += 1
    html = row(app.env, [docname.removeprefix("notebooks/")], named=False)
    section.insert(place, nodes.raw("", html, format="html"))


def wrapped(path):
    """A notebook inside a script: browsers save no file of a page from disk, but run its scripts."""
    packed = base64.b64encode(gzip.compress(path.read_bytes(), mtime=0)).decode()
    return f'launch.save("{path.name}", "{packed}");\n'


def copy_notebook(path, target):
    """A notebook into the site, and beside it the script that saves it from a page on disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)
    target.with_name(f"{path.name}.js").write_text(wrapped(path), encoding="utf8")


def copy_notebooks(app, exception):
    """The notebooks lie beside their pages, for the download buttons."""
    if exception is not None or app.builder.format != "html":
        return
    for docname in app.env.found_docs:
        path = Path(app.srcdir) / f"{docname}.ipynb"
        if docname.startswith("notebooks/") and path.is_file():
            copy_notebook(path, Path(app.outdir) / f"{docname}.ipynb")


def setup(app):
    app.add_config_value("launch_hub", "", "env", str)
    app.add_directive("launch", LaunchDirective)
    app.connect("source-read", drop_colab_link)
    app.connect("doctree-read", under_title)
    app.connect("build-finished", copy_notebooks)
    app.add_css_file("launch.css")
    app.add_js_file("launch.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
