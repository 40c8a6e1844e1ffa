// How a chart of the book looks: the page's type and ink, and a width that follows the page.
// Used by explorable.js. Specs are Vega-Lite; nothing here knows about sliders or drawing.
window.chartLook = (() => {
  "use strict";
  const NARROW = 560; // px: below it, pictures side by side stand one below the other
  const AXES = 64; // px beside the plot of each part, for its labels
  const GAP = 24; // px between two parts
  const PARTS = ["hconcat", "vconcat", "concat"];

  const isSingle = (spec) => !PARTS.some((key) => key in spec) && !("spec" in spec)
    && !("facet" in (spec.encoding ?? {}));

  // Laid over the chart's own configuration. Text takes currentColor, so it follows the theme.
  function config(width, narrowest) {
    const style = getComputedStyle(document.documentElement);
    const ink = "currentColor";
    return {
      aria: false, // the graphic has one label, its alt text, instead of one for every mark
      background: null,
      font: style.getPropertyValue("--font-ui").trim() || "sans-serif",
      view: { stroke: null },
      axis: {
        labelColor: ink, titleColor: ink, domainColor: ink, tickColor: ink, gridColor: ink,
        gridOpacity: 0.13, domainOpacity: 0.45, tickOpacity: 0.45, labelOpacity: 0.85,
        labelFontSize: 12, titleFontSize: 13, titleFontWeight: "normal",
        titlePadding: 8, labelPadding: 4, labelSeparation: 6,
      },
      axisX: { tickCount: Math.max(3, Math.round(narrowest / 70)) },
      axisXDiscrete: { labelAngle: 0 },
      legend: {
        labelColor: ink, titleColor: ink, labelFontSize: 12.5, titleFontSize: 12.5,
        titleFontWeight: "normal", labelLimit: Math.max(140, width - 80),
        ...(width < NARROW && { columns: width < 420 ? 1 : 2 }),
      },
      title: { color: ink, subtitleColor: ink, fontSize: 14, fontWeight: 600, anchor: "start" },
      header: { labelColor: ink, titleColor: ink, labelFontSize: 12.5, titleFontSize: 13 },
      text: { color: ink },
      rule: { color: ink },
    };
  }

  function merge(base, over) {
    const isObject = (value) => value && typeof value === "object" && !Array.isArray(value);
    const result = { ...base };
    for (const [key, value] of Object.entries(over)) {
      result[key] = isObject(value) && isObject(base?.[key]) ? merge(base[key], value) : value;
    }
    return result;
  }

  // Give a chart, or each chart of several, the width that the page has.
  function spread(spec, width) {
    if (isSingle(spec)) return { ...spec, width: Math.max(120, Math.floor(width)) };
    if (spec.hconcat && width < NARROW) {
      const { hconcat, ...rest } = spec;
      spec = { ...rest, vconcat: hconcat };
    }
    for (const key of PARTS.filter((name) => spec[name])) {
      const columns = { hconcat: spec[key].length, vconcat: 1, concat: spec.columns ?? 1 }[key];
      const share = (width - GAP * (columns - 1)) / columns;
      const parts = spec[key].map((part) => spread(part, isSingle(part) ? share - AXES : share));
      spec = { ...spec, [key]: parts };
    }
    return spec;
  }

  const narrowest = (spec) => Math.min(
    spec.width ?? Infinity, ...PARTS.flatMap((key) => spec[key] ?? []).map(narrowest),
  );

  return {
    // The chart in the page's look at this width.
    fit(spec, width) {
      const fitted = { ...spread(spec, width), background: null };
      fitted.config = merge(spec.config ?? {}, config(width, narrowest(fitted)));
      if (isSingle(spec)) fitted.autosize = { type: "fit-x", contains: "padding" };
      else fitted.padding = { left: 0, right: 2, top: 2, bottom: 6 };
      return fitted;
    },

    // About how high it will be, in px, so that nothing on the page jumps when it is drawn.
    height: function height(spec) {
      const below = (spec.vconcat ?? []).map(height);
      const beside = (spec.hconcat ?? spec.concat ?? []).map(height);
      if (below.length) return below.reduce((sum, each) => sum + each, 0);
      return beside.length ? Math.max(...beside) : (spec.height ?? 260) + 50;
    },
  };
})();
