/** Forerun: a decoding engine for language models that runs ahead of the model. */
export { type ErrorCode, ForerunError } from "./base/errors.ts"
export type { CandidateTree } from "./decoding/candidate-tree.ts"
export type { AnyMethod, Method, OptionSpec, Paper } from "./decoding/method.ts"
export type { SamplingOptions } from "./decoding/sampling-options.ts"
export type { Step, StreamEvent, Token } from "./decoding/step.ts"
export type { Model, ModelCache, ModelPass, ModelPassResult, PastOption } from "./generate/model.ts"
export type {
  GenerateOptions,
  GenerateResult,
  LoadModelOptions,
  LoadProgress,
  ModelInfo,
  PromptInput,
  RunOptions,
  Score,
  SpeculationReport,
  TimelineSpan,
  TokenReport,
} from "./generate/types.ts"
export { loadContinuation, loadMethod, methodNames } from "./methods/index.ts"
export type { ModelConfig } from "./models/config.ts"
export type { WeightFormat } from "./models/formats.ts"
export type { BooleanMatrix, Mask, TreeMask } from "./runtime/mask.ts"
export type { Matrix, PassInput, TopLogits, Want } from "./runtime/pass.ts"
export { loadModel, type ModelWithFetch } from "./server/load-model.ts"
export type { ChatMessage } from "./text/chat-template.ts"
