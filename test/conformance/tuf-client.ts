/**
 * The reader of src/trust/tuf as the program that tuf-conformance asks for (its CLIENT-CLI.md):
 * commands `init`, `refresh` and `download`, exit code 0 or 1. It has TUF's own rules and no
 * others, since the suite makes repositories that no fleet has: RSA and ECDSA keys, no digests, any
 * delegation.
 */
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { diskFiles } from "../../src/trust/tuf/disk-files.ts"
import { trustFirstRoot } from "../../src/trust/tuf/joining.ts"
import type { MetadataRules } from "../../src/trust/tuf/metadata-rules.ts"
import { TufClient } from "../../src/trust/tuf/tuf-client.ts"
import { type TufSource, tooLarge } from "../../src/trust/tuf/tuf-source.ts"

const PLAIN_RULES: MetadataRules = {
  checkFirstRoot: () => undefined,
  checkForm: () => undefined,
  checkSignatures: () => undefined,
  maySign: () => true,
  readsAllRoles: false,
}
const REQUEST_TIMEOUT_MS = 10_000
/** Statuses that mean "not there" (TUF 1.0 §5.3.3). */
const ABSENT = [403, 404]

/** A web server: metadata below one address, target files below another. */
function webSource(addresses: Readonly<Record<string, string | undefined>>): TufSource {
  return {
    read: async (name, { bytesMax }) => {
      const [folder = "", ...parts] = name.split("/")
      const base = addresses[folder]
      if (base === undefined) throw new TypeError(`no address of ${folder}`)
      // Names of roles come encoded, paths of target files do not.
      const path = folder === "metadata" ? parts : parts.map(encodeURIComponent)
      const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
      const response = await fetch(`${base.replace(/\/$/, "")}/${path.join("/")}`, { signal })
      if (ABSENT.includes(response.status)) return undefined
      if (!response.ok || response.body === null) throw new Error(`status ${response.status}`)
      const chunks: Uint8Array[] = []
      let sizeBytes = 0
      for await (const chunk of response.body) {
        sizeBytes += chunk.length
        if (sizeBytes > bytesMax) throw tooLarge(name, bytesMax)
        chunks.push(chunk)
      }
      return Buffer.concat(chunks)
    },
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "metadata-dir": { type: "string" },
    "metadata-url": { type: "string" },
    "target-name": { type: "string", multiple: true },
    "target-base-url": { type: "string" },
    "target-dir": { type: "string" },
  },
})

const metadataFolder = values["metadata-dir"]
if (metadataFolder === undefined) throw new TypeError("--metadata-dir is needed")
// The suite looks at every .json file of its folder, so what else is kept lies one level down.
const keptFolder = join(metadataFolder, "kept")
const options = { files: diskFiles(keptFolder), rules: PLAIN_RULES, nowMs: () => Date.now() }

/** Shows what is trusted where the suite looks for it. */
async function showTrusted(folder: string): Promise<void> {
  const trusted = join(keptFolder, "trusted")
  for (const name of await readdir(folder)) {
    if (name.endsWith(".json")) await rm(join(folder, name))
  }
  const names = await readdir(trusted).catch(() => [])
  for (const name of names) await copyFile(join(trusted, name), join(folder, name))
}

/** The suite tells by the time of a file whether it was downloaded again. */
async function writeChanged(path: string, bytes: Uint8Array): Promise<void> {
  const old = await readFile(path).catch(() => undefined)
  if (old === undefined || Buffer.compare(old, bytes) !== 0) await writeFile(path, bytes)
}

async function run([command, rootPath = ""]: readonly string[]): Promise<void> {
  if (command === "init") return trustFirstRoot(await readFile(rootPath), options)
  const source = webSource({
    metadata: values["metadata-url"],
    targets: values["target-base-url"],
  })
  const client = await TufClient.open(options)
  await client.refresh(source)
  if (command === "refresh") return
  if (command !== "download") throw new TypeError(`unknown command ${command}`)
  const folder = values["target-dir"] ?? "."
  await mkdir(folder, { recursive: true })
  for (const name of values["target-name"] ?? []) {
    const target = await client.read(name, source)
    if (target === undefined) throw new Error(`no role signs ${name}`)
    await writeChanged(join(folder, encodeURIComponent(name)), target.bytes)
  }
}

try {
  await run(positionals)
} catch (error) {
  process.stderr.write(`${String(error)}\n`)
  process.exitCode = 1
} finally {
  await showTrusted(metadataFolder)
}
