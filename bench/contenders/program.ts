/**
 * Finds the programs that a contender needs.
 * @module
 */
import { execFileSync } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { delimiter, extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { packageFile } from "../package-file.ts"

/** Gives the path of a peer's own program, below `bench/peers`. */
export function peerScript(name: string, ending: "ts" | "py" = "ts"): string {
  if (ending === "py") return packageFile(`bench/peers/${name}.py`)
  const own = extname(fileURLToPath(import.meta.url))
  return fileURLToPath(new URL(`../peers/${name}${own}`, import.meta.url))
}

/** Gives the start of the command of one of Sealift's own peers, which runs as a node does. */
export function sealiftPeer(name: string): [program: string, ...words: string[]] {
  return [process.execPath, "--import", peerScript("engine"), peerScript(name)]
}

/** Gives the path of a program of `PATH`, or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"]
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

/** Gives a Python that has this module: the system's first, which is where distributions put it. */
export function findPythonWith(module: string): string | undefined {
  const candidates = ["/usr/bin/python3", findProgram("python3")]
  return candidates.find((path) => path !== undefined && canImport(path, module))
}

/** Tells whether a file is there that this process may run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function canImport(python: string, module: string): boolean {
  try {
    execFileSync(python, ["-c", `import ${module}`], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}
