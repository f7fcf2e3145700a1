/** The inputs that every pass has, whatever its attention: rows, rotary tables, what is wanted. */
import type { ModelGraph } from "../models/build-model.ts"
import { ropeFrequencies, ropeRow } from "../models/rope.ts"
import type { HostTensor, Session } from "./session.ts"

export type FeedFacts = Pick<ModelGraph, "config" | "ropeTables" | "windows" | "steerable" | "merged">
export type Feeds = Record<string, HostTensor>

export interface CommonRequest {
  /** [rows · hidden] */
  readonly x: Float32Array
  readonly positions: Int32Array
  readonly layers: readonly [number, number]
  readonly logitRows: readonly number[]
  readonly top: number
  readonly wantHidden: boolean
}

export function createCommonFeeder(
  { config, ropeTables, steerable }: FeedFacts,
  session: Session,
): (request: CommonRequest) => Feeds {
  const frequencies = ropeTables.map(({ rope }) => {
    const longrope = rope.scaling?.type === "longrope" ? rope.scaling.originalContext : Number.POSITIVE_INFINITY
    const [near, far] = [ropeFrequencies(rope), ropeFrequencies(rope, true)]
    return (position: number) => (position < longrope ? near : far)
  })
  const float = (data: Float32Array, dims: readonly number[]) => session.tensor("float32", data, dims)
  const flag = (value: boolean) => session.tensor("bool", Uint8Array.of(value ? 1 : 0), [])
  const [yes, no] = [flag(true), flag(false)]
  const integers = (values: readonly number[], dims: readonly number[]) =>
    session.tensor("int64", BigInt64Array.from(values, BigInt), dims)

  return ({ x, positions, layers, logitRows, top, wantHidden }) => {
    const rows = positions.length
    const feeds: Feeds = {
      x: float(x, [rows, config.hidden]),
      wantHidden: wantHidden ? yes : no,
      wantTop: top > 0 ? yes : no,
      top: integers([Math.max(top, 1)], [1]),
      logitRows: integers(logitRows, [logitRows.length]),
    }
    if (steerable) {
      feeds.from = integers([layers[0]], [])
      feeds.to = integers([layers[1]], [])
    }
    ropeTables.forEach(({ rope, turning, still }, index) => {
      const half = rope.dimensions / 2
      const row = (turning + still) * half
      const cos = new Float32Array(rows * row).fill(1)
      const sin = new Float32Array(rows * row)
      for (let r = 0; r < rows; r++) {
        const at = r * row
        const position = positions[r]!
        ropeRow(frequencies[index]!(position), position, cos, sin, at)
        for (let head = 1; head < turning; head++) {
          cos.copyWithin(at + head * half, at, at + half)
          sin.copyWithin(at + head * half, at, at + half)
        }
      }
      feeds[`cos${index}`] = float(cos, [rows * (turning + still), half])
      feeds[`sin${index}`] = float(sin, [rows * (turning + still), half])
    })
    return feeds
  }
}
