// In place of packages that Vega names and the pages never call: maps, and files of tables.
const nothing = () => { throw new Error("left out of this book's Vega"); };
export { nothing as geoArea, nothing as geoBounds, nothing as geoCentroid, nothing as feature, nothing as mesh, nothing as dsvFormat };
