/** Downloads against a hub that cuts lines, lies about lengths, ranges and hashes, or is another machine altogether. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { type DownloadOptions, type DownloadProgress, downloadFile } from "./download.ts"
import { cutAfter, type FakeHub, fakeGguf, sha256Of, startFakeHub } from "./fake-hub.ts"

const bytes = fakeGguf(3_000_000)
const sha256 = sha256Of(bytes)
const request = { repo: "user/repo", revision: "main", file: "model.gguf" }
let hub: FakeHub
let home: string
let blobs: string
let progress: DownloadProgress[]

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "forerun-store-"))
  blobs = join(home, "hub", "models--user--repo", "blobs")
  hub = await startFakeHub({ "model.gguf": bytes, "config.json": Buffer.from('{"a":1}') })
  progress = []
})
afterEach(async () => {
  await hub.close()
  rmSync(home, { recursive: true, force: true })
})

const env = () => ({ HF_HOME: home, HF_ENDPOINT: hub.url })
const download = (options: DownloadOptions = {}, wanted: Partial<Parameters<typeof downloadFile>[0]> = {}) =>
  downloadFile(
    { ...request, ...wanted },
    { env: env(), backoffMs: 1, retries: 2, onProgress: (p) => progress.push({ ...p }), ...options },
  )
const noBlob = () => !existsSync(join(blobs, sha256))
const part = () => join(blobs, `${sha256}.incomplete`)

test("a file lands as blob, snapshot link and ref, and is not fetched twice", async () => {
  const file = await download()
  expect(file).toMatchObject({ commit: hub.commit, bytes: bytes.length, downloaded: true })
  expect(file.blob).toBe(join(blobs, sha256))
  expect(readFileSync(file.path).equals(bytes)).toBe(true)
  expect(lstatSync(file.path).isSymbolicLink()).toBe(true)
  expect(readFileSync(join(blobs, "../refs/main"), "utf8")).toBe(hub.commit)
  expect(readdirSync(blobs)).toEqual([sha256])
  expect(progress.at(-1)).toEqual({ file: "model.gguf", received: bytes.length, total: bytes.length, resumed: 0 })
  expect((await download()).downloaded).toBe(false)
  expect(hub.gets()).toHaveLength(1)
})

test("a cut line is taken up where it stopped, within a run", async () => {
  hub.hook = cutAfter(hub, 1_000_000)
  await download()
  expect(readFileSync(join(blobs, sha256)).equals(bytes)).toBe(true)
  expect(Number(/\d+/.exec(hub.requests.at(-1)?.range ?? "")?.[0])).toBeGreaterThan(0)
  expect(hub.requests.at(-1)?.ifRange).toBe(`"${sha256}"`)
})

test("and in the next run, which says how much was there", async () => {
  hub.hook = cutAfter(hub, 1_000_000)
  await expect(download({ retries: 0 })).rejects.toMatchObject({ code: "E_DOWNLOAD" })
  expect(noBlob()).toBe(true)
  const kept = lstatSync(part()).size
  expect(kept).toBeGreaterThan(0)
  await download()
  expect(progress.at(-1)).toMatchObject({ resumed: kept, received: bytes.length })
  expect(hub.requests.at(-1)?.range).toBe(`bytes=${kept}-`)
  expect(readdirSync(blobs)).toEqual([sha256])
})

test("a server that ignores Range sends all of it again", async () => {
  leavePart(bytes.subarray(0, 700_000))
  hub.hook = (_, response, file) => {
    if (file === undefined || _.method === "HEAD") return false
    response.writeHead(200, { "content-length": bytes.length }).end(bytes)
    return true
  }
  await download()
  expect(readFileSync(join(blobs, sha256)).equals(bytes)).toBe(true)
})

test("a 206 with another range than asked for is not written; the file comes from the start", async () => {
  leavePart(bytes.subarray(0, 700_000))
  hub.hook = (incoming, response) => {
    if (incoming.headers.range === undefined) return false
    const from = 600_000
    response
      .writeHead(206, { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` })
      .end(bytes.subarray(from))
    return true
  }
  await download()
  expect(readFileSync(join(blobs, sha256)).equals(bytes)).toBe(true)
  expect(hub.requests.at(-1)?.range).toBeUndefined()
})

test("a 206 whose total is another is not believed", async () => {
  leavePart(bytes.subarray(0, 700_000))
  hub.hook = (incoming, response) => {
    if (incoming.headers.range === undefined) return false
    response.writeHead(206, { "content-range": "bytes 700000-2999998/2999999" }).end(bytes.subarray(700_000, 2_999_999))
    return true
  }
  await download()
  expect(readFileSync(join(blobs, sha256)).equals(bytes)).toBe(true)
})

test("416, and a part longer than the file, start again", async () => {
  leavePart(Buffer.concat([bytes, Buffer.from("more")]))
  await download()
  leavePart(bytes.subarray(0, 100))
  rmSync(join(blobs, sha256))
  hub.hook = (incoming, response) => incoming.headers.range !== undefined && Boolean(response.writeHead(416).end())
  await download()
  expect(readFileSync(join(blobs, sha256)).equals(bytes)).toBe(true)
})

test("a wrong Content-Length is refused", async () => {
  hub.hook = (incoming, response, file) => {
    if (incoming.method !== "GET" || file === undefined) return false
    response.writeHead(200, { "content-length": 1000 }).end(bytes.subarray(0, 1000))
    return true
  }
  await expect(download()).rejects.toMatchObject({ code: "E_DOWNLOAD", message: expect.stringContaining("1000 bytes") })
  expect(readdirSync(blobs)).toEqual([])
})

test("more than was promised is refused and deleted", async () => {
  hub.hook = (incoming, response, file) => {
    if (incoming.method !== "GET" || file === undefined) return false
    response.writeHead(200).end(Buffer.concat([bytes, bytes]))
    return true
  }
  await expect(download()).rejects.toMatchObject({ code: "E_DOWNLOAD", message: expect.stringContaining("more than") })
  expect(readdirSync(blobs)).toEqual([])
})

test("wrong bytes: nothing under the final name, and the bad part is deleted", async () => {
  const wrong = fakeGguf(bytes.length, 2)
  hub.hook = (incoming, response, file) => {
    if (incoming.method !== "GET" || file === undefined) return false
    response.writeHead(200, { "content-length": wrong.length }).end(wrong)
    return true
  }
  await expect(download()).rejects.toMatchObject({ code: "E_DOWNLOAD", message: expect.stringContaining("sha256") })
  expect(readdirSync(blobs)).toEqual([])
  hub.hook = undefined
  leavePart(wrong.subarray(0, 1000))
  await expect(download()).rejects.toMatchObject({ code: "E_DOWNLOAD" })
  expect(readdirSync(blobs)).toEqual([])
  await download()
})

test("small files are checked by their git hash", async () => {
  const facts = { file: "config.json", revision: hub.commit, size: 7, gitOid: "0".repeat(40) }
  await expect(download({}, facts)).rejects.toMatchObject({ message: expect.stringContaining("git hash") })
})

test("a file that changes between its parts is never mixed", async () => {
  // No hash is known here: only the ETag tells the versions apart.
  let etag = '"one"'
  let body = Buffer.from("a".repeat(100_000))
  hub.hook = (incoming, response, file) => {
    if (file !== "config.json") return false
    const headers = { etag, "x-repo-commit": hub.commit }
    const from = Number(/\d+/.exec(incoming.headers.range ?? "")?.[0] ?? 0)
    if (incoming.method === "HEAD") response.writeHead(200, { ...headers, "content-length": body.length }).end()
    else if (from > 0 && incoming.headers["if-range"] === etag)
      response
        .writeHead(206, { ...headers, "content-range": `bytes ${from}-${body.length - 1}/${body.length}` })
        .end(body.subarray(from))
    else if (from > 0) response.writeHead(200, { ...headers, "content-length": body.length }).end(body)
    else {
      response.writeHead(200, { ...headers, "content-length": body.length })
      response.write(body.subarray(0, 50_000), () =>
        setTimeout(() => {
          etag = '"two"'
          body = Buffer.from("b".repeat(100_000))
          response.destroy()
        }, 20),
      )
    }
    return true
  }
  await expect(download({}, { file: "config.json" })).rejects.toMatchObject({
    code: "E_DOWNLOAD",
    message: expect.stringContaining("changed"),
  })
  expect(readdirSync(blobs)).toEqual([])
  hub.hook = undefined
  await download({}, { file: "config.json" })
})

test("a web page in place of the file is refused, and the good part is kept", async () => {
  leavePart(bytes.subarray(0, 700_000))
  let type = "text/html; charset=utf-8"
  hub.hook = (incoming, response, file) => {
    if (incoming.method !== "GET" || file === undefined) return false
    response.writeHead(200, { "content-type": type }).end("<!doctype html><title>Log in</title>")
    return true
  }
  await expect(download()).rejects.toMatchObject({ code: "E_DOWNLOAD", message: expect.stringContaining("web page") })
  expect(lstatSync(part()).size).toBe(700_000)
  rmSync(part())
  type = "application/octet-stream"
  await expect(download()).rejects.toMatchObject({ code: "E_DOWNLOAD", message: expect.stringContaining("web page") })
  expect(readdirSync(blobs)).toEqual([])
})

test("two downloads of the same file fetch it once", async () => {
  const slow = hub.files.get("model.gguf")
  hub.hook = (incoming, response, file) => {
    if (incoming.method !== "GET" || file === undefined) return false
    response.writeHead(200, { "content-length": bytes.length })
    response.write(slow?.subarray(0, 1_000_000))
    setTimeout(() => response.end(slow?.subarray(1_000_000)), 400)
    return true
  }
  const files = await Promise.all([download(), download()])
  expect(files.filter(({ downloaded }) => downloaded)).toHaveLength(1)
  expect(hub.gets()).toHaveLength(1)
})

test("a lock held elsewhere is waited for, then E_LOCKED; a stale one is taken over", async () => {
  const lock = join(home, "hub", ".locks", "models--user--repo", `${sha256}.forerun.lock`)
  mkdirSync(lock, { recursive: true })
  await expect(download({ lockTimeoutMs: 300 })).rejects.toMatchObject({ code: "E_LOCKED" })
  const old = new Date(Date.now() - 60_000)
  utimesSync(lock, old, old)
  await download({ lockTimeoutMs: 300 })
  expect(existsSync(lock)).toBe(false)
})

test("abort in the middle leaves the part only, and the next run takes it up", async () => {
  const controller = new AbortController()
  const stopped = download({
    signal: controller.signal,
    onProgress: ({ received }) => received > 100_000 && controller.abort(),
  })
  await expect(stopped).rejects.toMatchObject({ code: "E_ABORTED" })
  expect(readdirSync(blobs)).toEqual([`${sha256}.incomplete`])
  expect(readdirSync(join(home, "hub", ".locks", "models--user--repo"))).toEqual([])
  await download()
  expect(progress[0]?.resumed).toBeGreaterThan(0)
  await expect(download({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "E_ABORTED" })
})

test("silence is noticed", async () => {
  hub.hook = (incoming, response, file) =>
    incoming.method === "GET" &&
    file !== undefined &&
    Boolean(response.writeHead(200, { "content-length": bytes.length }).write("GGUF"))
  await expect(download({ stallMs: 100, retries: 0 })).rejects.toMatchObject({
    code: "E_DOWNLOAD",
    message: expect.stringContaining("100 ms"),
  })
})

test("errors of the server: 503 is tried again, 403 speaks of HF_TOKEN, 404 is not found", async () => {
  let busy = 2
  hub.hook = (_, response) => busy-- > 0 && Boolean(response.writeHead(503).end())
  await download()
  for (const [status, code] of [
    [401, "E_DOWNLOAD"],
    [403, "E_DOWNLOAD"],
    [404, "E_MODEL_NOT_FOUND"],
  ] as const) {
    hub.hook = (_, response) => Boolean(response.writeHead(status).end())
    const error = await download().catch((thrown) => thrown)
    expect(error.code).toBe(code)
    if (status !== 404) expect(error.hint).toContain("HF_TOKEN")
  }
})

test("the token goes to the hub and not where it redirects to", async () => {
  const storage = await startFakeHub({ "model.gguf": bytes })
  hub.hook = (_, response, file) =>
    file !== undefined &&
    Boolean(
      response
        .writeHead(302, {
          location: `${storage.url}/user/repo/resolve/x/model.gguf?signature=secret`,
          "x-linked-etag": `"${sha256}"`,
          "x-linked-size": bytes.length,
          "x-repo-commit": hub.commit,
        })
        .end(),
    )
  await download({ env: { ...env(), HF_TOKEN: "hf_secret" } })
  expect(hub.requests.every(({ auth }) => auth === "Bearer hf_secret")).toBe(true)
  expect(storage.requests.map(({ method, auth }) => [method, auth])).toEqual([["GET", undefined]])
  await storage.close()
})

test("redirects to other protocols are refused, a bad token is not quoted", async () => {
  for (const location of ["file:///etc/passwd", "ftp://127.0.0.1/x"]) {
    hub.hook = (_, response) => Boolean(response.writeHead(302, { location }).end())
    await expect(download()).rejects.toMatchObject({ code: "E_DOWNLOAD", message: expect.stringContaining("refused") })
  }
  const error = await download({ env: { ...env(), HF_TOKEN: "hf_sec\nret" } }).catch((thrown) => thrown)
  expect(error.code).toBe("E_OPTION")
  expect(JSON.stringify(error)).not.toContain("hf_sec")
})

test("names that leave the folder are refused", async () => {
  for (const file of ["../x.gguf", "/etc/x.gguf", "a/../../x.gguf", "a\\..\\x.gguf"])
    await expect(download({}, { file })).rejects.toMatchObject({ code: "E_DOWNLOAD" })
  hub.hook = (_, response) => Boolean(response.writeHead(200, { etag: '"../../x"', "x-repo-commit": hub.commit }).end())
  await expect(download()).rejects.toMatchObject({ code: "E_DOWNLOAD", message: expect.stringContaining("blob") })
  hub.hook = (_, response) => Boolean(response.writeHead(200, { etag: '"abc"', "x-repo-commit": "../x" }).end("GGUF"))
  await expect(download()).rejects.toMatchObject({ code: "E_DOWNLOAD" })
})

test("offline asks nobody", async () => {
  await expect(download({ offline: true })).rejects.toMatchObject({ code: "E_OFFLINE" })
  await expect(download({ env: { ...env(), HF_HUB_OFFLINE: "1" } })).rejects.toMatchObject({ code: "E_OFFLINE" })
  expect(hub.requests).toEqual([])
})

test("a process killed with SIGKILL leaves a part that the next one takes up", async () => {
  hub.hook = (incoming, response, file) => {
    if (incoming.method !== "GET" || file === undefined || incoming.headers.range !== undefined) return false
    response.writeHead(200, { "content-length": bytes.length }).write(bytes.subarray(0, 1_500_000))
    return true
  }
  const script = `import { downloadFile } from ${JSON.stringify(new URL("./download.ts", import.meta.url).href)}
await downloadFile(${JSON.stringify(request)}, { onProgress: (p) => process.stdout.write(p.received + "\\n") })`
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    env: { ...process.env, ...env() },
    stdio: ["ignore", "pipe", "inherit"],
  })
  let seen = ""
  for await (const chunk of child.stdout) {
    seen += chunk
    if (seen.includes("1500000")) break
  }
  child.kill("SIGKILL")
  if (child.signalCode === null) await once(child, "exit")
  expect(readdirSync(blobs)).toEqual([`${sha256}.incomplete`])
  // The dead process's lock is still there; it goes stale.
  await download({ lockStaleMs: 2000 })
  expect(progress[0]).toMatchObject({ resumed: 1_500_000 })
  expect(readFileSync(join(blobs, sha256)).equals(bytes)).toBe(true)
})

test.skipIf(!existsSync("/dev/full"))("a full disk is E_IO and says so", async () => {
  mkdirSync(blobs, { recursive: true })
  symlinkSync("/dev/full", part())
  const error = await download().catch((thrown) => thrown)
  expect(error).toMatchObject({ code: "E_IO", hint: expect.stringContaining("full") })
  expect(noBlob()).toBe(true)
})

test("a cache that cannot be made is E_IO", async () => {
  writeFileSync(join(home, "file"), "")
  await expect(download({ env: { ...env(), HF_HOME: join(home, "file") } })).rejects.toMatchObject({ code: "E_IO" })
})

function leavePart(content: Buffer): void {
  mkdirSync(blobs, { recursive: true })
  writeFileSync(part(), content)
}
