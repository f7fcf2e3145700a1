/** What a server keeps on disk, files and batches: in a folder that outlives it, or in one that goes with it. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { withLock } from "../store/blob-lock.ts"
import { ioError } from "../store/io-error.ts"
import { BatchQueue, type QueueOptions } from "./batches/batch-queue.ts"
import { FileStore } from "./files/file-store.ts"

export interface ServerData {
  readonly files: FileStore
  readonly batches: BatchQueue
  close(): Promise<void>
}

/**
 * @param folder undefined: one of its own, which is removed at the end
 * @throws ForerunError E_IO, E_LOCKED when another server has the folder
 */
export async function openData(
  folder: string | undefined,
  options: Omit<QueueOptions, "folder" | "files">,
): Promise<ServerData> {
  const own = folder === undefined ? mkdtempSync(join(tmpdir(), "forerun-serve-")) : undefined
  const root = folder ?? own!
  const remove = () => rmSync(own!, { recursive: true, force: true })
  if (own) process.once("exit", remove)
  const release = await hold(root)
  try {
    const files = await FileStore.open(join(root, "files"))
    const batches = await BatchQueue.open({ ...options, files, folder: join(root, "batches") })
    return {
      ...{ files, batches },
      async close() {
        await batches.close()
        await release()
        if (!own) return
        remove()
        process.removeListener("exit", remove)
      },
    }
  } catch (thrown) {
    await release()
    throw thrown
  }
}

/** Two servers would answer the same batches. A server that was killed leaves its lock to go stale. */
async function hold(folder: string): Promise<() => Promise<void>> {
  try {
    mkdirSync(folder, { recursive: true })
  } catch (thrown) {
    throw ioError(thrown, `cannot use ${folder}`)
  }
  let letGo = () => {}
  const held = new Promise<void>((resolve) => {
    letGo = resolve
  })
  let lock: Promise<void> | undefined
  await new Promise<void>((resolve, reject) => {
    lock = withLock(join(folder, "owner.lock"), { staleMs: 4000, timeoutMs: 8000 }, async () => {
      resolve()
      await held
    })
    lock.catch(reject)
  })
  return async () => {
    letGo()
    await lock?.catch(() => {})
  }
}
