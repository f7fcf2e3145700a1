/** A file with a small change: what is expected costs little. npx tsx examples/predicted-output.ts [model] */
import { loadModel } from "../src/index.ts"

const before = `def area(width: float, height: float) -> float:
    """Area of a rectangle."""
    if width < 0 or height < 0:
        raise ValueError("sides must not be negative")
    return width * height`

const model = await loadModel(process.argv[2])
const prompt = `Rename the function \`area\` to \`rectangle\`. Answer with the whole code.\n\n${before}`
const plain = await model.generate(prompt, { maxTokens: 128 })
const { text, passes, speculation } = await model.generate(prompt, {
  maxTokens: 128,
  method: "predicted-output",
  prediction: before,
})
console.log(text)
console.log(`\n${passes.target} passes instead of ${plain.passes.target}, the same text: ${text === plain.text}`)
console.log(`${speculation?.acceptedPrediction} expected tokens accepted, ${speculation?.rejectedPrediction} rejected`)
await model.dispose()
