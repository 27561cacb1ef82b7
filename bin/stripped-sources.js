// Keeps this project's TypeScript as the JavaScript that Node makes of it, for a process that runs for
// weeks. Node's own compile cache keeps its code for V8 too, of every module, in memory: 20 MiB of a node.
import { hash } from "node:crypto"
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { registerHooks, stripTypeScriptTypes } from "node:module"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"

const SOURCES = new URL("../src/", import.meta.url).href

/**
 * From now on this thread loads sources from the folder, and puts there what it lacks. A source is found
 * by its digest and Node's version, so that nothing old is ever taken. Other threads are not touched.
 */
export function loadStrippedSources(folder) {
  const kept = join(folder, `stripped-${process.version}`)
  registerHooks({
    load: (url, context, nextLoad) => {
      if (!url.startsWith(SOURCES) || !url.endsWith(".ts")) return nextLoad(url, context)
      const source = readFileSync(fileURLToPath(url), "utf8")
      return { format: "module", source: stripOnce(kept, source), shortCircuit: true }
    },
  })
}

function stripOnce(folder, source) {
  const path = join(folder, `${hash("sha256", source)}.js`)
  try {
    return readFileSync(path, "utf8")
  } catch {
    const stripped = strip(source)
    keep(folder, path, stripped)
    return stripped
  }
}

function strip(source) {
  const { emitWarning } = process
  // That the function is experimental is no news for who runs a node: the version of Node is locked.
  process.emitWarning = () => {}
  try {
    return stripTypeScriptTypes(source)
  } finally {
    process.emitWarning = emitWarning
  }
}

function keep(folder, path, stripped) {
  const half = `${path}.${process.pid}`
  try {
    mkdirSync(folder, { recursive: true })
    writeFileSync(half, stripped)
    renameSync(half, path)
  } catch {
    // Where nobody may write, each start makes them anew, as without this.
  }
}
