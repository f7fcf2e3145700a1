// Completes package-lock.json: a registry mirror without the packages of other platforms makes npm write a lock that
// `npm ci` refuses. Adds an entry for every optional dependency that has none; os, cpu and libc are read off its name.
import { readFileSync, writeFileSync } from "node:fs"

const file = process.argv[2] ?? "package-lock.json"
const lock = JSON.parse(readFileSync(file, "utf8"))
const systems = { linux: "linux", darwin: "darwin", mac: "darwin", win32: "win32", win: "win32", android: "android" }
const processors = ["arm64", "x64", "arm", "ia32", "riscv64", "ppc64", "s390x", "loong64"]

let added = 0
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const folders = path.split("/node_modules/").map((_, i, parts) => parts.slice(0, i + 1).join("/node_modules/"))
    const places = [...folders.map((folder) => `${folder}/node_modules/${name}`), `node_modules/${name}`]
    if (places.some((place) => lock.packages[place]) || !/^\d/.test(version)) continue
    const words = name.split(/[-/]/)
    const os = words.map((word) => systems[word]).filter(Boolean)
    const cpu = words.filter((word) => processors.includes(word))
    if (os.length === 0 || cpu.length === 0) continue // not a package of one platform: leave it to npm to complain
    const libc = words.includes("musl") ? { libc: ["musl"] } : {}
    const dev = entry.dev ? { dev: true } : {}
    lock.packages[`node_modules/${name}`] = { version, cpu, ...dev, ...libc, optional: true, os }
    added++
  }
}
const [root, ...rest] = Object.entries(lock.packages)
lock.packages = Object.fromEntries([root, ...rest.sort(([a], [b]) => (a < b ? -1 : 1))])
writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`)
console.log(`${file}: ${added} entries added`)
