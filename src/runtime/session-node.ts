/** onnxruntime-node behind the Session interface: the only place that imports it. */
import { ForerunError } from "../base/errors.ts"
import type { HostData, HostTensor, HostType, Session, SessionOptions, SessionSource } from "./session.ts"

type Ort = typeof import("onnxruntime-node")
let loaded: Promise<Ort> | undefined

/** Loaded on first use: commands that run no model do not pay for the native library. */
export const loadBackend = (): Promise<Ort> => (loaded ??= import("onnxruntime-node"))

export async function createSession(source: SessionSource, options: SessionOptions): Promise<Session> {
  const ort = await loadBackend()
  requireDevice(ort, options.device)
  const settings = {
    executionProviders: [options.device],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    executionMode: "sequential" as const,
    graphOptimizationLevel: "all" as const,
    // Shapes change from pass to pass, so remembered memory layouts would only cost.
    enableMemPattern: false,
    logSeverityLevel: 3 as const,
    ...(source.external && source.external.data.length > 0 ? { externalData: [source.external] } : {}),
    ...(options.profile ? { enableProfiling: true, profileFilePrefix: options.profile } : {}),
  }
  const session = await (typeof source.model === "string"
    ? ort.InferenceSession.create(source.model, settings)
    : ort.InferenceSession.create(source.model, settings)
  ).catch((thrown: unknown) => {
    const where = options.device === "cpu" ? "" : ` on ${options.device}`
    throw new ForerunError("E_RUNTIME", `onnxruntime could not create a session${where}: ${String(thrown)}`, {
      cause: thrown,
      ...(options.device === "cpu" ? {} : { hint: `is there a device for ${options.device}? cpu is always there` }),
    })
  })
  let released = false
  return {
    tensor: (type: HostType, data: HostData, dims: readonly number[]) =>
      new ort.Tensor(type as "float32", data as Float32Array, dims) as unknown as HostTensor,
    async run(feeds, fetches) {
      if (released) throw new ForerunError("E_DISPOSED", "the model was disposed")
      try {
        return (await session.run(feeds as never, fetches)) as unknown as Record<string, HostTensor>
      } catch (thrown) {
        throw new ForerunError("E_RUNTIME", `onnxruntime failed: ${String(thrown)}`, { cause: thrown })
      }
    },
    async release() {
      if (released) return
      released = true
      if (options.profile) session.endProfiling()
      await session.release()
    },
  }
}

/** @throws E_RUNTIME when this build of the backend has no such provider */
function requireDevice(ort: Ort, device: SessionOptions["device"]): void {
  const there = ort.listSupportedBackends().map(({ name }) => name)
  if (there.includes(device)) return
  throw new ForerunError("E_RUNTIME", `onnxruntime has no provider ${device} here; found ${there.join(", ")}`)
}
