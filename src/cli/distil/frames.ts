/** Questions about plain text: what turns paragraphs into prompts. */

/** With the paragraph's text and what it is about. */
type Frame = (text: string, title: string) => string

/** Of a paragraph: summaries, rewriting, questions that the text answers. */
const onText: readonly Frame[] = [
  (text) => `Summarize: ${text}`,
  (text) => `Summarise the following text in two sentences.\n\n${text}`,
  (text) => `Rewrite the following text in simple words for a child.\n\n${text}`,
  (text) => `Rewrite the following text in a friendly, informal tone.\n\n${text}`,
  (text) => `Read the text and list its main facts.\n\nText: ${text}`,
  (text) => `${text}\n\nWhich people, places and dates does the text above mention?`,
  (text, title) => `${text}\n\nUsing only the text above, what can be said about ${title}?`,
  (text, title) => `Context: ${text}\n\nQuestion: Why does ${title} matter here?\n\nAnswer from the context.`,
  (text) =>
    `Context: ${text}\n\nQuestion: What happened, and when?\n\nAnswer from the context in one or two sentences.`,
  (text) => `Correct the grammar and spelling of this text. Give only the corrected text.\n\n${text}`,
  (text) => `Write three questions that this text answers, each with its answer.\n\n${text}`,
  (text) => `Give the following text a title and a short subtitle.\n\n${text}`,
]

/** Of one sentence. */
const onSentence: readonly Frame[] = [
  (text) => `Translate English to German: ${text}`,
  (text) => `Translate to French: ${text}`,
  (text) => `Paraphrase this sentence: ${text}`,
]

/** Of a title alone. */
const onTitle: readonly Frame[] = [
  (title) => `What do you know about ${title}?`,
  (title) => `Write a short story in which ${title} plays a part.`,
  (title) => `Write an email to a friend in which you recommend reading about ${title}.`,
  (title) => `Give me five ideas for a presentation about ${title}.`,
  (title) => `Write the opening paragraph of a blog post about ${title}.`,
  (title) => `Imagine you are a museum guide. Introduce ${title} to visitors.`,
  (title) => `Write a poem of two verses about ${title}.`,
  (title) => `What are common misconceptions about ${title}? Answer briefly.`,
]

/** What is asked after an answer. */
export const followUps: readonly string[] = [
  "Can you give an example?",
  "Now say that in one sentence.",
  "Why is that?",
  "Rewrite your answer as a list.",
  "Explain it so that a child understands it.",
  "Are you sure? Check your answer.",
  "Can you explain that in more detail?",
  "What would be a counter-argument?",
]

/** Words in a paragraph that is asked about: shorter ones say too little, longer ones take too long to read. */
const words = { fewest: 40, most: 160 }
const unknown = " <unk>"
const mostUnknown = 2
/** Frames that each paragraph gets. */
const perParagraph = 4

/** Prompts from a text of headings (" = Title = ") and paragraphs, each on a line; pre-tokenised text is put together again. */
export function framePrompts(source: string): string[] {
  const prompts: string[] = []
  let title = "the subject"
  let count = 0
  for (const line of source.split("\n")) {
    const heading = /^ ?= ([^=]+) = ?$/.exec(line.trimEnd())
    if (heading) {
      title = joined(heading[1]!).replaceAll(unknown, "")
      prompts.push(...onTitle.map((frame) => frame(title, title)))
      continue
    }
    const whole = shortened(joined(line))
    // Where many words are unknown, what is left is no sentence.
    if (whole === undefined || whole.split(unknown).length - 1 > mostUnknown) continue
    const text = whole.replaceAll(unknown, "")
    // Neighbouring paragraphs get other frames; over many, each comes equally often.
    for (let i = 0; i < perParagraph; i++)
      prompts.push(onText[(count * perParagraph + i) % onText.length]!(text, title))
    const sentence = /^.{40,200}?[.!?](?= )/.exec(text)?.[0]
    if (sentence) prompts.push(onSentence[count % onSentence.length]!(sentence, title))
    count++
  }
  return prompts
}

/** As people write it: no spaces before punctuation, no marks of a tokenizer but that of unknown words. */
function joined(text: string): string {
  return text
    .replace(/ @(.)@ /g, "$1")
    .replace(/" ([^"]*?) "/g, '"$1"')
    .replace(/ +([,.;:!?)\]])/g, "$1")
    .replace(/([([]) +/g, "$1")
    .replace(/ ('s|n't|'re|'ve|'ll|'d)\b/g, "$1")
    .replace(/\s+/g, " ")
    .trim()
}

/** Whole sentences, as many as fit. */
function shortened(text: string): string | undefined {
  const all = text.split(" ")
  if (all.length < words.fewest) return undefined
  if (all.length <= words.most) return text
  const cut = all.slice(0, words.most).join(" ")
  const end = Math.max(cut.lastIndexOf(". "), cut.lastIndexOf("? "), cut.lastIndexOf("! "))
  return end > cut.length / 3 ? cut.slice(0, end + 1) : undefined
}
