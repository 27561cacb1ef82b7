/**
 * The files of a model: made, and compared with what was opened.
 * @module
 */
import { createHash, randomBytes } from "node:crypto"
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"

const WEIGHTS_BYTES: readonly number[] = [12_000_000, 9_000_000, 3_000_000]

/** Writes five files that look like a model's. */
export async function writeModel(folder: string): Promise<void> {
  await mkdir(join(folder, "weights"), { recursive: true })
  await writeFile(join(folder, "config.json"), '{"layers":2}\n')
  await writeFile(join(folder, "tokenizer.json"), '{"version":"1.0"}\n')
  for (const [index, sizeBytes] of WEIGHTS_BYTES.entries()) {
    await writeFile(join(folder, "weights", `${index}.safetensors`), randomBytes(sizeBytes))
  }
}

/** Compares two folders file by file. @returns how many files there are */
export async function compare(one: string, other: string): Promise<number> {
  const [left, right] = await Promise.all([digestsOf(one), digestsOf(other)])
  if (JSON.stringify(left) !== JSON.stringify(right)) throw new Error("what was opened differs")
  return left.length
}

async function digestsOf(folder: string): Promise<readonly (readonly [string, string])[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((it) => join(it.parentPath, it.name))
  const rows = paths.toSorted().map(async (path) => {
    const digest = createHash("sha256")
      .update(await readFile(path))
      .digest("hex")
    return [path.slice(folder.length + 1), digest] as const
  })
  return await Promise.all(rows)
}
