/** Finds added tokens (control and user-defined ones) in a text: leftmost first, longest on ties. */

export interface AddedToken {
  readonly id: number
  readonly text: string
  /** Control token: matched only where the caller asks for it. */
  readonly special: boolean
  /** Swallow white space on that side. */
  readonly stripLeft: boolean
  readonly stripRight: boolean
  /** Only where no word character touches it. */
  readonly singleWord: boolean
  /** Matched in the normalised text instead of the raw one. */
  readonly normalized: boolean
}

/** A stretch of text, or the token found in its place. */
export type Section = { readonly text: string; readonly start: number } | { readonly token: AddedToken }

interface Node {
  readonly children: Map<number, Node>
  token?: AddedToken
}

/** A splitter for these tokens, each under the spelling `spell` gives it. */
export function createSplitter(
  tokens: readonly AddedToken[],
  spell: (token: AddedToken) => string = (token) => token.text,
): (text: string) => Section[] {
  const root: Node = { children: new Map() }
  for (const token of tokens) {
    let node = root
    const text = spell(token)
    if (text === "") continue
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      let child = node.children.get(unit)
      if (child === undefined) {
        child = { children: new Map() }
        node.children.set(unit, child)
      }
      node = child
    }
    node.token ??= token
  }
  return (text) => (root.children.size === 0 ? wholeText(text) : split(text, root))
}

const wholeText = (text: string): Section[] => (text === "" ? [] : [{ text, start: 0 }])

function split(text: string, root: Node): Section[] {
  const sections: Section[] = []
  let from = 0
  for (let at = 0; at < text.length; ) {
    const found = longestMatch(text, at, root)
    if (found === undefined) {
      at++
      continue
    }
    let before = at
    if (found.token.stripLeft) while (before > from && isSpace(text, before - 1)) before--
    if (before > from) sections.push({ text: text.slice(from, before), start: from })
    sections.push({ token: found.token })
    at = found.end
    if (found.token.stripRight) while (at < text.length && isSpace(text, at)) at++
    from = at
  }
  if (from < text.length) sections.push({ text: text.slice(from), start: from })
  return sections
}

function longestMatch(text: string, start: number, root: Node): { token: AddedToken; end: number } | undefined {
  let best: { token: AddedToken; end: number } | undefined
  let node: Node | undefined = root
  for (let at = start; at < text.length; ) {
    node = node.children.get(text.charCodeAt(at++))
    if (node === undefined) break
    if (node.token !== undefined && (!node.token.singleWord || standsAlone(text, start, at))) {
      best = { token: node.token, end: at }
    }
  }
  return best
}

const isSpace = (text: string, at: number): boolean => /\s/.test(text[at]!)
const isWord = (character: string | undefined): boolean => character !== undefined && /[\p{L}\p{N}_]/u.test(character)
const standsAlone = (text: string, start: number, end: number): boolean =>
  !isWord(text[start - 1]) && !isWord(text[end])
