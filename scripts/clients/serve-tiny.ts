/** A server on a small random model, for clients that ask more than a real one can answer: prints its address. KEY */

import { loadModel } from "../../src/server/load-model.ts"
import { makeServedFolder, serve } from "../../test/support/served.ts"

const folder = makeServedFolder()
const model = await loadModel(folder.path, { weights: "f32", threads: 1, draft: folder.path })
const served = await serve(model, { keys: [process.argv[2]!] })
console.log(JSON.stringify({ url: served.url }))
process.once("SIGTERM", async () => {
  await served.close()
  await model.dispose()
  folder.remove()
})
