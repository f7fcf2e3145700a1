/** Models lying in the folders of FORERUN_MODELS, at most two levels deep. */
import { readdir } from "node:fs/promises"
import { basename, join } from "node:path"
import { chooseGguf, isFirstPart, quantOf, stemOf } from "./choose-files.ts"
import { ifThere } from "./io-error.ts"
import { defaultModel, type NameSpec, type RepoSpec } from "./model-spec.ts"

export type ModelFolder = { path: string; name: string; files: string[] }

const maxFolders = 2000

/** `root` and the folders in it, two levels down. Folders that cannot be read are passed over. */
export async function walkModelFolders(root: string, depth = 2): Promise<ModelFolder[]> {
  const folders: ModelFolder[] = []
  let level = [root]
  for (let down = 0; down <= depth && level.length > 0; down++) {
    const next: string[] = []
    for (const path of level) {
      if (folders.length >= maxFolders) return folders
      const entries = (await ifThere(readdir(path, { withFileTypes: true }))) ?? []
      const files: string[] = []
      for (const { name, ...entry } of entries.map((e) => ({
        name: e.name,
        folder: e.isDirectory(),
        link: e.isSymbolicLink(),
      }))) {
        if (name.startsWith(".")) continue
        // A link may lead to either; only its own reading tells.
        const looksLikeFile = /\.(gguf|safetensors|json|txt|jinja|model)$/i.test(name)
        if (entry.folder || (entry.link && !looksLikeFile)) next.push(join(path, name))
        else files.push(name)
      }
      folders.push({ path, name: basename(path), files: files.sort() })
    }
    level = next.sort()
  }
  return folders
}

/** A folder's own model: the folder when it is a checkpoint, else the GGUF in it. */
export function modelOfFolder(folder: ModelFolder, quant?: string | undefined): string | undefined {
  if (quant === undefined && isCheckpoint(folder)) return folder.path
  const gguf = chooseGguf(
    folder.files.filter((file) => /\.gguf$/i.test(file) && isFirstPart(file)),
    quant,
  )
  return gguf === undefined ? undefined : join(folder.path, gguf)
}

export function isCheckpoint(folder: ModelFolder): boolean {
  return folder.files.includes("config.json") && folder.files.some((file) => /\.safetensors$/i.test(file))
}

/** The best match for `spec` in the first of `roots` that has one. */
export async function findInFolders(spec: NameSpec | RepoSpec, roots: readonly string[]): Promise<string | undefined> {
  const wanted = wantedNames(spec)
  for (const root of roots) {
    const folders = await walkModelFolders(root)
    for (const match of wanted) {
      const path = matchName(match, spec.quant, folders, root)
      if (path !== undefined) return path
    }
  }
  return undefined
}

/** Best first; a name with a slash is a path below the root. */
function wantedNames(spec: NameSpec | RepoSpec): string[] {
  if (spec.kind === "name") return [spec.name]
  const repoName = spec.repo.slice(spec.repo.indexOf("/") + 1)
  const names = [spec.repo, repoName, repoName.replace(/[-._]GGUF$/i, "")]
  if (spec.isDefault) return [defaultModel.file, ...names, defaultModel.name]
  return spec.file === undefined
    ? names
    : [`${spec.repo}/${spec.file}`, spec.file.slice(spec.file.lastIndexOf("/") + 1)]
}

function matchName(
  name: string,
  quant: string | undefined,
  folders: readonly ModelFolder[],
  root: string,
): string | undefined {
  const wanted = name.toLowerCase()
  const below = join(root, name).toLowerCase()
  const ggufs = folders.flatMap(({ path, files }) =>
    files.filter((file) => /\.gguf$/i.test(file) && isFirstPart(file)).map((file) => join(path, file)),
  )
  const ofQuant = (file: string) =>
    quant === undefined || quantOf(basename(file))?.toLowerCase() === quant.toLowerCase()
  const file =
    ggufs.find((path) => ofQuant(path) && (basename(path).toLowerCase() === wanted || path.toLowerCase() === below)) ??
    ggufs.find((path) => ofQuant(path) && stemOf(basename(path), true).toLowerCase() === wanted)
  if (file !== undefined) return file
  for (const folder of folders) {
    const named = folder.path.toLowerCase() === below || (folder.name.toLowerCase() === wanted && !wanted.includes("/"))
    const path = named ? modelOfFolder(folder, quant) : undefined
    if (path !== undefined) return path
  }
  return chooseGguf(
    ggufs.filter((path) => stemOf(basename(path)).toLowerCase() === wanted),
    quant,
  )
}
