"""One look for every picture of the book, in light and in dark, with words for those who cannot see it.

Used by every lab. `use_theme()` once, then `show(figure, alt="...")`. No units live here.
Backgrounds are transparent; text is drawn in INK, which the book replaces by the colour of the page.
"""

import io
import os
import re
import sys

MIME = "application/vnd.entropylab.picture+json"

# Mid-tones: each has a contrast of at least 3:1 on the light and on the dark page (tested),
# and the order keeps neighbours apart for the common kinds of colour blindness.
BLUE = "#2f7ec0"
ORANGE = "#c56a12"
GREEN = "#16876a"
RED = "#cc4458"
PURPLE = "#8764c0"
SKY = "#3a93b8"
INK = "#737a84"
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)


def use_theme():
    """Set matplotlib and Altair to the book's look. Call it once, after the imports."""
    _matplotlib_theme()
    _altair_theme()


def show(figure, alt):
    """Display a matplotlib figure or an Altair chart with its text alternative.

    alt   what the picture shows, in a sentence: required, at least 20 characters

    Errors: ValueError for a missing alt text; TypeError for anything but a figure or a chart.
    """
    from IPython.display import display

    alt = checked_alt(alt)
    if hasattr(figure, "savefig"):
        import matplotlib.pyplot as plt

        bundle = {"image/svg+xml": svg(figure), "text/plain": alt, MIME: {"alt": alt}}
        plt.close(figure)
    elif hasattr(figure, "to_dict"):
        bundle = {**chart_bundle(figure.to_dict()), "text/plain": alt, MIME: {"alt": alt}}
    else:
        raise TypeError(f"figure must be a matplotlib figure or an Altair chart; got {type(figure).__name__}")
    display(bundle, raw=True)


def chart_bundle(spec):
    """The forms in which a Vega-Lite chart is displayed: {media type: content}.

    Recorded outputs carry it once, under its own version. JupyterLab, JupyterLite and Voilà draw
    Vega-Lite 5 by themselves and know no later media type, so a live chart comes under that name
    too. Colab draws HTML, which others would prefer, and which asks a delivery host for scripts.
    """
    version = int(re.search(r"/v(\d+)", spec["$schema"]).group(1))
    bundle = {f"application/vnd.vegalite.v{version}+json": spec}
    if "google.colab" in sys.modules:
        import altair as alt

        with alt.renderers.enable("html"):
            bundle |= alt.renderers.get()(spec)
    elif os.environ.get("LABUTILS_EXPLORE") != "static":
        bundle["application/vnd.vegalite.v5+json"] = spec
    return bundle


def checked_alt(alt):
    """The text alternative, or a ValueError that says what it needs."""
    if not isinstance(alt, str) or len(alt.strip()) < 20:
        raise ValueError(f"alt must say what the picture shows, in a sentence of 20 characters or more; got {alt!r}")
    return " ".join(alt.split())


def svg(figure):
    """A matplotlib figure as SVG text that is the same to the byte at every run."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    return buffer.getvalue()


def _matplotlib_theme():
    import matplotlib
    from cycler import cycler

    matplotlib.use("agg") if "inline" not in matplotlib.get_backend() else None
    matplotlib.rcParams.update({
        "figure.figsize": (6.4, 3.6), "figure.constrained_layout.use": True, "figure.dpi": 100,
        "svg.hashsalt": "entropy-lab", "svg.fonttype": "none", "font.family": "sans-serif",
        "font.size": 10.5, "axes.titlesize": 11.5, "axes.labelsize": 10.5, "legend.frameon": False,
        "axes.prop_cycle": cycler(color=COLOURS), "lines.linewidth": 2.0, "lines.markersize": 5,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
        "grid.linewidth": 0.8, "grid.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK,
        "axes.titlecolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
        "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
        "legend.labelcolor": INK,
    })


def _altair_theme():
    import altair as alt

    alt.renderers.register("entropy-lab", lambda spec, **options: chart_bundle(spec))
    alt.renderers.enable("entropy-lab")

    @alt.theme.register("entropy-lab", enable=True)
    def theme():
        return alt.theme.ThemeConfig({
            "background": "transparent",
            "config": {
                "view": {"stroke": None, "continuousWidth": 480, "continuousHeight": 260},
                "axis": {"labelColor": INK, "titleColor": INK, "domainColor": INK, "tickColor": INK,
                         "gridColor": INK, "gridOpacity": 0.2, "titleFontWeight": "normal",
                         "labelFontSize": 12, "titleFontSize": 13},
                "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12,
                           "titleFontSize": 12, "titleFontWeight": "normal", "orient": "top"},
                "title": {"color": INK, "fontWeight": "normal", "fontSize": 14, "anchor": "start"},
                "header": {"labelColor": INK, "titleColor": INK},
                "text": {"color": INK, "fontSize": 13},
                "range": {"category": list(COLOURS)},
                "mark": {"color": BLUE},
                "line": {"strokeWidth": 2.5},
            },
        })
