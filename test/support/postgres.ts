/** A PostgreSQL of the test's own in a temporary folder, where its programs are installed. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

export const needsPostgres = "(needs PostgreSQL: apt-get install postgresql)"

/** The folder with initdb and postgres; Debian keeps them out of the PATH. */
function findPrograms(): string | undefined {
  const debian = "/usr/lib/postgresql"
  const versions = existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, "bin")) : []
  return [...(process.env.PATH ?? "").split(delimiter), ...versions].find(
    (folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")),
  )
}

/** It refuses to run as root; then the account that comes with the package does. */
function otherUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const account = readFileSync("/etc/passwd", "utf8").match(/^postgres:[^:]*:(\d+):(\d+):/m)
  return account ? { uid: Number(account[1]), gid: Number(account[2]) } : undefined
}

const programs = findPrograms()
export const hasPostgres: boolean =
  programs !== undefined && (process.getuid?.() !== 0 || otherUser() !== undefined) && process.platform !== "win32"

export interface TestPostgres {
  readonly url: string
  stop(): Promise<void>
}

export async function startPostgres(): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), "forerun-pg-"))
  const data = join(folder, "data")
  const user = otherUser()
  if (user) chownSync(folder, user.uid, user.gid)
  const options = { ...user, cwd: folder, stdio: "ignore" as const }
  const initdb = ["-D", data, "-U", "forerun", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C"]
  execFileSync(join(programs!, "initdb"), initdb, options)
  // Only a socket in the folder: no port that could be taken.
  const settings = ["-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
  const child = spawn(join(programs!, "postgres"), settings, options)
  await untilReady(child, join(folder, ".s.PGSQL.5432"))
  return {
    url: `postgres://forerun@localhost/postgres?host=${encodeURIComponent(folder)}`,
    async stop() {
      const ended = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGINT") // does not wait for clients
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function untilReady(child: ChildProcess, socket: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) throw new Error(`postgres ended with ${child.exitCode}`)
    if (existsSync(socket)) return
    await sleep(50)
  }
  throw new Error("postgres did not start")
}
