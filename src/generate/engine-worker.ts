/** The engine's thread. */
import { parentPort } from "node:worker_threads"
import { hostEngine } from "./engine-host.ts"

const port = parentPort!
port.on(
  "message",
  hostEngine({
    send: (message) => port.postMessage(message),
    // Ending by itself is the only safe end: terminating a thread inside onnxruntime aborts the process.
    close: () => port.close(),
  }),
)
