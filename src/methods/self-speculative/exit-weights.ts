/** LayerSkip's numbers (arXiv 2404.16710 §4.1): how often layers are dropped, and how much each exit counts. Pure. */

/** Chance that a sample skips a layer: none at the first, all of it at the last, growing exponentially. */
export const dropRate = (layer: number, layers: number, most: number): number =>
  layers === 1 ? 0 : most * (2 ** (layer / (layers - 1)) - 1)

/** Weight of the loss behind each layer but the last, from 0, beside each other: later exits count more. */
export const exitWeight = (layer: number): number => (layer * (layer + 1)) / 2

/** Layers whose exits count in a step, but the last: every `every`-th, from `first` on. Always as many. */
export function rotatedExits(layers: number, every: number, first: number): number[] {
  const exits = layers - 1
  const count = Math.ceil(exits / every)
  return Array.from({ length: count }, (_, i) => (first + i * every) % exits)
}
