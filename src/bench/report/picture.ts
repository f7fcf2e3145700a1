/** Charts of a report page as a picture that stands alone. */
import { style } from "./style.ts"

/** @param charts SVG elements, one below the other */
export function picture(title: string, charts: readonly string[]): string {
  const placed = charts.map((chart, i) => chart.replace("<svg ", `<svg y="${i * 370}" width="760" height="350" `))
  const height = charts.length * 370 - 10
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 ${height}" width="760" height="${height}"><title>${title}</title><style>${style}</style>${placed.join("")}</svg>\n`
}
