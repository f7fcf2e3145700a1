/** Which exit DEL drafts from, round by round, where a text changes: of the model, and in the published simulation's world. */
import { element, line, linearScale, standalone, svg, text, ticks } from "../../base/svg.ts"
import type { Adaptation } from "./adaptation.ts"
import type { ExitsResult } from "./measure-exits.ts"
import { worldLayers } from "./published-world.ts"

const [width, height] = [960, 280]
const [left, right, top, bottom] = [56, 16, 48, 40]

const style = `text{font:12px system-ui,sans-serif;fill:#667}.exit{fill:#2a6fdb}.plain{fill:#8888}.best{stroke:#d9642a;stroke-width:2}
.phase{fill:#8881}.grid{stroke:#8884}`

export function exitTrace({ adaptation, published, agreement, model }: ExitsResult): string {
  const name = `${model.file}${model.adapter ? ` with ${model.adapter}` : ""}`
  const last = Math.max(...agreement.map(({ exit }) => exit))
  const panels = [
    panel(adaptation, { title: name, last, shift: 0 }),
    panel(published, { title: "The published simulation's world", last: worldLayers - 1, shift: height }),
  ]
  const content = `<style>${style}</style>${panels.join("")}`
  return standalone(svg(width, 2 * height, `Exit layer by round: ${name}`, content))
}

interface Place {
  readonly title: string
  /** The highest exit. */
  readonly last: number
  readonly shift: number
}

function panel({ phases, rounds }: Adaptation, { title, last, shift }: Place): string {
  const [first, end] = [shift + top, shift + height - bottom]
  const x = linearScale(0, rounds.length, left, width - right)
  const y = linearScale(0, last, end, first)
  const bands = phases.flatMap(({ name, best }, i) => {
    const from = rounds.findIndex((round) => round.phase === i)
    const to = rounds.findLastIndex((round) => round.phase === i) + 1
    if (from < 0) return []
    const place = { x: x(from), y: first, width: x(to) - x(from), height: end - first }
    const band = i % 2 === 0 ? "" : element("rect", { ...place, class: "phase" })
    const mark = best > 0 ? line(x(from), y(best), x(to), y(best), "best") : ""
    const label = best > 0 ? `${name}: layer ${best} is best` : `${name}: no exit pays`
    return [band + mark + text(x(from) + 4, first - 8, label)]
  })
  const dots = rounds.map(({ exit, drafted }, i) => {
    const told = exit === 0 ? "no draft" : `layer ${exit}, ${drafted} drafted`
    const size = { cx: x(i + 0.5), cy: y(exit), r: exit === 0 ? 2 : 2 + Math.min(4, drafted / 2) }
    return element("circle", { ...size, class: exit === 0 ? "plain" : "exit" }, `<title>${told}</title>`)
  })
  const layers = ticks(0, last, 5).filter((layer) => layer <= last)
  const scale = layers.map(
    (layer) =>
      line(left - 4, y(layer), left, y(layer), "grid") +
      text(left - 8, y(layer) + 4, layer === 0 ? "none" : layer, { "text-anchor": "end" }),
  )
  const marks = ticks(0, rounds.length, 8).filter((mark) => mark <= rounds.length)
  const grid = marks.map(
    (mark) => line(x(mark), end, x(mark), end + 4, "grid") + text(x(mark), end + 18, mark, { "text-anchor": "middle" }),
  )
  return [text(left, shift + 16, `${title}, by round`), ...bands, ...scale, ...grid, ...dots].join("")
}
