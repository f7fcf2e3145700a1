/** What is safe and pleasant to print on a terminal: no control sequences from models or files, colour only where wanted. */

/** Visible stand-ins (␛ for ESC) for the C0 controls except line feed and tab, for DEL, and U+FFFD for the C1 controls. */
export function escapeControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (character) => {
    const code = character.charCodeAt(0)
    if (code < 0x20) return String.fromCharCode(0x2400 + code)
    return code === 0x7f ? "\u2421" : "\ufffd"
  })
}

/** Text as it may go to `stream`: a file gets it as it is, a terminal without controls. */
export const printable = (text: string, stream: { isTTY?: boolean }): string =>
  stream.isTTY ? escapeControls(text) : text

export function hasColour(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb"
}

const styles = { dim: 2, bold: 1, red: 31, green: 32 } as const
export type Style = keyof typeof styles

export function styled(text: string, style: Style, stream: { isTTY?: boolean }): string {
  return hasColour(stream) ? `\u001b[${styles[style]}m${text}\u001b[0m` : text
}

/** Rows under headings, columns padded to their widest cell. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => (row[i] ?? "").length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("  ")
      .trimEnd()
  return [line(headings), ...rows.map(line)].join("\n")
}

export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"]
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`
}

export const formatSeconds = (milliseconds: number): string =>
  milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`
