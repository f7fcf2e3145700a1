/** Weights of a checkpoint, whatever file they lie in: named tensors, read one at a time. */

/** GGUF's block types plus the plain ones; safetensors uses F32, F16 and BF16 (and, for refusal, the rest). */
export type TensorType =
  | "F32"
  | "F16"
  | "BF16"
  | "F64"
  | "I8"
  | "I16"
  | "I32"
  | "I64"
  | "U8"
  | "BOOL"
  | "Q4_0"
  | "Q4_1"
  | "Q5_0"
  | "Q5_1"
  | "Q8_0"
  | "Q8_1"
  | "Q2_K"
  | "Q3_K"
  | "Q4_K"
  | "Q5_K"
  | "Q6_K"
  | "Q8_K"
  | "IQ1_S"
  | "IQ1_M"
  | "IQ2_XXS"
  | "IQ2_XS"
  | "IQ2_S"
  | "IQ3_XXS"
  | "IQ3_S"
  | "IQ4_NL"
  | "IQ4_XS"
  | "TQ1_0"
  | "TQ2_0"
  | "MXFP4"
  | "NVFP4"
  | "Q1_0"
  | "Q2_0"

export interface TensorInfo {
  /** Canonical name: Hugging Face's, for the family (model.layers.0.self_attn.q_proj.weight). */
  readonly name: string
  /** Row-major, outermost first. A linear layer's weight is always [out, in]. */
  readonly shape: readonly number[]
  readonly type: TensorType
  /** Length of the raw data in bytes. */
  readonly bytes: number
}

/**
 * Canonical view of a checkpoint's tensors. Differences between files are settled here: GGUF names become
 * Hugging Face's, GGUF's interleaved llama Q/K rows are put back in Hugging Face order (whole rows move, so quantised
 * blocks stay as they are), gpt2's [in, out] matrices are transposed, and gemma's norms are Hugging Face's w of (1 + w):
 * GGUF stores 1 + w, from which 1 is taken in float32 (adding it again gives the stored value back exactly whenever
 * that is at least 0.5, and to within 2^-25 below). Nothing is held in memory between calls.
 */
export interface WeightSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>
  /** The raw bytes, in the layout of `type`. @throws ForerunError E_MODEL_FORMAT when the tensor is missing */
  raw(name: string): Uint8Array
  /** The exact values as float32, row-major. @throws ForerunError E_MODEL_FORMAT, E_MODEL_UNSUPPORTED */
  float32(name: string): Float32Array
  close(): void
}
