// A node loads its sources through a folder that keeps them as JavaScript: real Node, one short run each.
import { chmod, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, test } from "vitest"
import { run } from "../../support/process.ts"
import { openWorkspace } from "../../support/workspace.ts"

const HOOK = fileURLToPath(new URL("../../../bin/stripped-sources.js", import.meta.url))
const SOURCE = fileURLToPath(new URL("../../../src/core/section.ts", import.meta.url))
const PROGRAM = `
const { loadStrippedSources } = await import(process.argv[1])
loadStrippedSources(process.argv[2])
console.log(Object.keys(await import(process.argv[3])).length > 0 ? "loaded" : "empty")`

describe("sources that are kept as JavaScript", () => {
  const workspace = openWorkspace("stripped")
  afterAll(() => workspace.close())

  async function load(folder: string) {
    const program = ["--input-type=module", "--eval", PROGRAM, HOOK, folder, SOURCE]
    return await run([process.execPath, ...program])
  }

  async function kept(folder: string): Promise<readonly string[]> {
    const [version] = await readdir(folder)
    return (await readdir(join(folder, version!))).map((name) => join(folder, version!, name))
  }

  test("are made once, without a word, and taken the next time", async () => {
    const folder = await workspace.folder("once")
    expect(await load(folder)).toMatchObject({ stdout: "loaded\n", stderr: "" })
    const files = await kept(folder)
    expect(files.length).toBeGreaterThan(0)
    for (const file of files) {
      const source = await readFile(file, "utf8")
      expect(source).not.toContain("export interface")
      await writeFile(file, `console.log("kept")\n${source}`)
    }
    const { stdout } = await load(folder)
    expect(stdout).toBe(`${"kept\n".repeat(files.length)}loaded\n`)
    expect(await kept(folder)).toEqual(files)
  })

  test("are made anew where nothing can be kept", async () => {
    const folder = join(await workspace.folder("none"), "file")
    await writeFile(folder, "no folder")
    await chmod(folder, 0o400)
    expect(await load(folder)).toMatchObject({ stdout: "loaded\n", stderr: "" })
  })
})
