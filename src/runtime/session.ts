/** The narrow waist between Forerun and a backend: tensors in, tensors out. */

import type { ModelDevice } from "./devices.ts"

export type HostType = "float32" | "float64" | "int32" | "int64" | "bool" | "uint8"
export type HostData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array

/** Opaque to the runtime; made by the backend that will read it. */
export interface HostTensor {
  readonly data: HostData
  readonly dims: readonly number[]
}

export interface SessionSource {
  /** A serialised model, or the path of one (with its external data beside it). */
  readonly model: Uint8Array | string
  /** External data by location, when the model comes as bytes. */
  readonly external?: { readonly path: string; readonly data: Uint8Array }
}

export interface SessionOptions {
  readonly threads: number
  readonly device: ModelDevice
  /** Writes a chrome trace of every operator under this prefix. */
  readonly profile?: string
}

export interface Session {
  tensor(type: HostType, data: HostData, dims: readonly number[]): HostTensor
  /** Runs to completion; only the named outputs are copied out. */
  run(
    feeds: Readonly<Record<string, HostTensor>>,
    fetches: readonly string[],
  ): Promise<Readonly<Record<string, HostTensor>>>
  release(): Promise<void>
}
