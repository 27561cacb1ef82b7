/**
 * Files of the package, wherever this module was compiled to.
 * @module
 */
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** Gives the path of a file by its path in the repository. */
export function packageFile(path: string): string {
  return join(packageRoot(), path)
}

/** Gives the folder of the package. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, "package.json"))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error("the suite lies in no package")
    folder = parent
  }
  return folder
}
