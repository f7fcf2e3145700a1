/** Whether numbers that should be uniform are: Pearson's chi-square over equal bins. */

/** Probability that as large a statistic or a larger one comes up by chance: P(chi-square > `statistic`). */
export function chiSquareTail(statistic: number, freedom: number): number {
  if (!(statistic > 0)) return 1
  const [a, x] = [freedom / 2, statistic / 2]
  return x < a + 1 ? 1 - lowerSeries(a, x) : upperFraction(a, x)
}

/** @param values in [0, 1) */
export function uniformPValue(values: readonly number[], bins = 20): number {
  const counts = new Float64Array(bins)
  for (const value of values) counts[Math.min(bins - 1, Math.floor(value * bins))]!++
  const expected = values.length / bins
  return chiSquareTail(
    counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0),
    bins - 1,
  )
}

// The regularised incomplete gamma function (Abramowitz and Stegun 6.5.29 and 6.5.31).

function lowerSeries(a: number, x: number): number {
  let term = 1 / a
  let sum = term
  for (let n = 1; n < 1000 && Math.abs(term) > Math.abs(sum) * 1e-16; n++) {
    term *= x / (a + n)
    sum += term
  }
  return sum * Math.exp(a * Math.log(x) - x - logGamma(a))
}

/** Lentz's method: the continued fraction from its head. */
function upperFraction(a: number, x: number): number {
  const tiny = 1e-300
  let b = x + 1 - a
  let c = 1 / tiny
  let d = 1 / b
  let value = d
  for (let n = 1; n < 1000; n++) {
    const factor = -n * (n - a)
    b += 2
    d = 1 / nonZero(factor * d + b, tiny)
    c = nonZero(b + factor / c, tiny)
    value *= d * c
    if (Math.abs(d * c - 1) < 1e-15) break
  }
  return value * Math.exp(a * Math.log(x) - x - logGamma(a))
}

const nonZero = (value: number, tiny: number) => (Math.abs(value) < tiny ? tiny : value)

/** Stirling's series above 10, brought there by Γ(z + 1) = z Γ(z). */
function logGamma(z: number): number {
  let shift = 0
  let at = z
  for (; at < 10; at++) shift += Math.log(at)
  const inverse = 1 / at
  const series = inverse / 12 - inverse ** 3 / 360 + inverse ** 5 / 1260 - inverse ** 7 / 1680
  return (at - 0.5) * Math.log(at) - at + Math.log(2 * Math.PI) / 2 + series - shift
}
