/** The word patterns of byte-level tokenizers, by the name GGUF files give them (tokenizer.ggml.pre). */

const contractions = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
const spaces = "\\s+(?!\\S)|\\s+"
const gpt2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|${spaces}`

/** The cl100k family: contractions | word with one leading mark | digits | punctuation with line ends | line ends | spaces. */
const cl100k = (digits: string, lineEnds = "[\\r\\n]+", contraction = contractions): string =>
  `${contraction}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*${lineEnds}|${spaces}`

/** The o200k family: words split where lower case turns to upper. */
const o200k = (digits: string, suffix: string): string => {
  const upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
  const lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
  const mark = "[^\\r\\n\\p{L}\\p{N}]?"
  return `${mark}${upper}*${lower}+${suffix}|${mark}${upper}+${lower}*${suffix}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|${spaces}`
}

const seedCoder = `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|${spaces}`
const bloom = " ?[^(\\s|.,!?\\u2026\\u3002\\uFF0C\\u3001\\u0964\\u06D4\\u060C)]+"
const deepseekCjk = "[\\u4E00-\\u9FA5\\u0800-\\u4E00\\uAC00-\\uD7FF]+"
const deepseek3 = [
  "\\p{N}{1,3}",
  "[\\u4E00-\\u9FA5\\u3040-\\u309F\\u30A0-\\u30FF]+",
  `[!"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_\`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|${spaces}`,
]

/** DeepSeek LLM's own idea of a cased letter, which is no Unicode class. */
const deepseekLetters =
  "A-Za-z\\u00B5\\u00C0-\\u00D6\\u00D8-\\u00F6\\u00F8-\\u01BA\\u01BC-\\u01BF\\u01C4-\\u0293\\u0295-\\u02AF\\u0370-\\u0373\\u0376\\u0377\\u037B-\\u037D\\u037F\\u0386\\u0388-\\u038A\\u038C\\u038E-\\u03A1\\u03A3-\\u03F5\\u03F7-\\u0481\\u048A-\\u052F\\u0531-\\u0556\\u10A0-\\u10C5\\u13A0-\\u13F5\\u13F8-\\u13FD\\u1C90-\\u1CBA\\u1CBD-\\u1CBF\\u1D00-\\u1D2B\\u1D6B-\\u1D77\\u1D79-\\u1D9A\\u1E00-\\u1F15\\u1F18-\\u1F1D\\u1F20-\\u1F45\\u1F48-\\u1F4D\\u1F50-\\u1F57\\u1F59\\u1F5B\\u1F5D\\u1F5F-\\u1F7D\\u1F80-\\u1FB4\\u1FB6-\\u1FBC\\u1FBE\\u1FC2-\\u1FC4\\u1FC6-\\u1FCC\\u1FD0-\\u1FD3\\u1FD6-\\u1FDB\\u1FE0-\\u1FEC\\u1FF2-\\u1FF4\\u1FF6-\\u1FFC\\u2102\\u2107\\u210A-\\u2113\\u2115\\u2119-\\u211D\\u2124\\u2126\\u2128\\u212A-\\u212D\\u212F-\\u2134\\u2139\\u213C-\\u213F\\u2145-\\u2149\\u214E\\u2183\\u2184\\u2C00-\\u2C7B\\u2C7E-\\u2CE4\\u2CEB-\\u2CEE\\u2CF2\\u2CF3\\uA640-\\uA66D\\uA680-\\uA69B\\uA722-\\uA76F\\uA771-\\uA787\\uA78B-\\uA78E\\uAB70-\\uABBF\\uFB00-\\uFB06\\uFB13-\\uFB17\\uFF21-\\uFF3A\\uFF41-\\uFF5A\\u{10400}-\\u{1044F}\\u{104B0}-\\u{104D3}\\u{104D8}-\\u{104FB}\\u{10C80}-\\u{10CB2}\\u{10CC0}-\\u{10CF2}\\u{118A0}-\\u{118DF}\\u{1E900}-\\u{1E943}"

interface Family {
  readonly names: readonly string[]
  /** Applied one after the other: each splits what the ones before left in one piece. */
  readonly patterns: readonly string[]
  /** A word that is a token stays whole even if no merges lead to it. */
  readonly wholeWords?: boolean
  readonly addsBos?: boolean
}

const families: readonly Family[] = [
  {
    names: ["default"],
    patterns: ["[\\p{P}$+<=>^~|]+", gpt2, "\\p{N}+", "[0-9][0-9][0-9]"],
  },
  {
    names: ["gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "gigachat", "exaone4", "mellum"],
    patterns: [gpt2],
  },
  { names: ["jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "a.x-4.0"], patterns: [gpt2] },
  {
    names: ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"],
    patterns: ["\\p{N}", gpt2],
  },
  {
    names: ["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
    patterns: [cl100k("\\p{N}{1,3}")],
    wholeWords: true,
    addsBos: true,
  },
  { names: ["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], patterns: [cl100k("\\p{N}{1,3}")] },
  {
    names: ["qwen2", "deepseek-r1-qwen", "kormo", "megrez", "stablelm2", "hunyuan", "grok-2"],
    patterns: [cl100k("\\p{N}")],
  },
  {
    names: ["bailingmoe", "bailingmoe2", "llada-moe"],
    patterns: [cl100k("\\p{N}", "[\\r\\n]", "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])")],
  },
  { names: ["seed-coder"], patterns: [seedCoder] },
  { names: ["deepseek-v3", "hunyuan-dense"], patterns: deepseek3 },
  {
    names: ["deepseek-llm"],
    patterns: [
      "[\\r\\n]",
      `\\s?[${deepseekLetters}]+`,
      "\\s?[!-\\/:-~\\uFF01-\\uFF0F\\uFF1A-\\uFF5E\\u2018-\\u201F\\u3000-\\u3002]+",
      "\\s+$",
      deepseekCjk,
      "\\p{N}+",
    ],
  },
  { names: ["deepseek-coder"], patterns: ["[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", deepseekCjk, "\\p{N}"] },
  { names: ["falcon"], patterns: ["[\\p{P}$+<=>^~|`]+", gpt2, "[0-9][0-9][0-9]"] },
  { names: ["poro-chat", "bloom", "gpt3-finnish"], patterns: [bloom] },
  { names: ["viking"], patterns: [bloom, "\\p{N}"] },
  { names: ["tekken"], patterns: [o200k("\\p{N}", "")], wholeWords: true, addsBos: true },
  { names: ["gpt-4o", "llama4", "minimax-m2"], patterns: [o200k("\\p{N}{1,3}", `${contractions}?`)] },
]

const byName = new Map(families.flatMap((family) => family.names.map((name) => [name, family] as const)))

/** The family of a tokenizer.ggml.pre value, or undefined when this version does not know it. */
export const patternFamily = (name: string): Family | undefined => byName.get(name)

/** Every known tokenizer.ggml.pre value. */
export const patternNames: readonly string[] = [...byName.keys()]

// The spellings of the same patterns in tokenizer.json files of current models.
const inFiles = [
  ...["\\p{N}", "\\p{N}{1,3}"].map((digits) => cl100k(digits, "[\\r\\n]+", "(?i:'s|'t|'re|'ve|'m|'ll|'d)")),
  o200k("\\p{N}{1,3}", "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"),
]
const linear: ReadonlySet<string> = new Set([...families.flatMap((family) => family.patterns), ...inFiles])

/** Whether a pattern is one of ours, known to match in linear time; anything else runs under a deadline. */
export const isLinearPattern = (pattern: string): boolean => linear.has(pattern)
