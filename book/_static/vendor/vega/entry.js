// What the pages take of Vega. Left out: maps, trees, forces, clouds of words, Voronoi cells, labels that
// find their place, cross filters, and readers of files. charts.py refuses a chart that asks for these.
import { extend } from "vega-util";
import { transforms } from "vega-dataflow";
import * as plain from "vega-transforms";
import * as regression from "vega-regression";
import * as view from "vega-view-transforms";
import * as encode from "vega-encode";

extend(transforms, plain, regression, view, encode);

export { Error, logger } from "vega-util";
export { View } from "vega-view";
export { parse } from "vega-parser";
export { expressionInterpreter } from "vega-interpreter";
