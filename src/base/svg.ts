/** Small functions that write SVG and HTML as text. Every text that comes from data goes through `escapeText`. */

export const escapeText = (text: string | number): string =>
  String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)

type Attributes = Readonly<Record<string, string | number>>

const attributes = (values: Attributes) =>
  Object.entries(values)
    .map(([name, value]) => ` ${name}="${typeof value === "number" ? Number(value.toFixed(2)) : escapeText(value)}"`)
    .join("")

/** `content` is markup already. */
export const element = (name: string, values: Attributes = {}, content = ""): string =>
  content === "" ? `<${name}${attributes(values)}/>` : `<${name}${attributes(values)}>${content}</${name}>`

export const text = (x: number, y: number, content: string | number, values: Attributes = {}): string =>
  element("text", { x, y, ...values }, escapeText(content))

export const line = (x1: number, y1: number, x2: number, y2: number, className: string): string =>
  element("line", { x1, y1, x2, y2, class: className })

/** Scales with the page; `title` is what a screen reader says. */
export const svg = (width: number, height: number, title: string, content: string): string =>
  element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title }, content)

/** The same as a file of its own. */
export const standalone = (markup: string): string => markup.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"')

export type Scale = (value: number) => number

export const linearScale =
  (from: number, to: number, start: number, end: number): Scale =>
  (value) =>
    start + ((value - from) / (to - from || 1)) * (end - start)

/** Round steps (1, 2, 2.5 or 5 times a power of ten) that cover the range, about `count` of them. */
export function ticks(low: number, high: number, count = 5): number[] {
  const raw = (high - low || 1) / count
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw * 0.999) ?? 10)
  const first = Math.floor(low / step + 1e-9)
  const last = Math.ceil(high / step - 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}
