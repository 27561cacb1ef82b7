/** What the command line loads before it knows which command is meant: little, so that it is quick. */
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path/posix"
import { expect, test } from "vitest"
import { staticModules } from "../../support/named-modules.ts"

/** Gives the files and packages that a file loads, through all static imports. */
function loadedBy(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen
  seen.add(path)
  for (const specifier of staticModules(path, readFileSync(path, "utf8"))) {
    if (!specifier.startsWith(".")) seen.add(specifier)
    else loadedBy(join(dirname(path), specifier), seen)
  }
  return seen
}

test("--help loads no package but the grammar of commands", () => {
  expect(existsSync("src/cli/main.ts")).toBe(true)
  const loaded = [...loadedBy("src/cli/main.ts")]
  const packages = loaded.filter((name) => !name.startsWith("src/") && !name.startsWith("node:"))
  expect(packages).toEqual(["commander"])
})
