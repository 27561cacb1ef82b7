/**
 * A temporary folder with everything that a test started in it; closing it stops and removes all.
 * @module
 */
import { mkdtempSync, readFileSync } from "node:fs"
import { mkdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run } from "./process.ts"

/** A folder and what must be undone, newest first. */
export interface Workspace {
  readonly root: string
  /** Makes a fresh folder of that name below the root. */
  folder(name: string): Promise<string>
  /** Remembers what to undo; gives back its argument's owner for chaining in one line. */
  defer(undo: () => unknown): void
  /** Undoes everything, unmounts what is left below the root, removes the root. */
  close(): Promise<void>
}

/** Opens a workspace below the temporary folder (`parent` for another place, such as a tmpfs). */
export function openWorkspace(name: string, parent: string = tmpdir()): Workspace {
  const root = mkdtempSync(join(parent, `sealift-${name}-`))
  const undos: (() => unknown)[] = []
  return {
    root,
    async folder(path) {
      const folder = join(root, path)
      await mkdir(folder, { recursive: true })
      return folder
    },
    defer(undo) {
      undos.push(undo)
    },
    async close() {
      const faults: unknown[] = []
      for (const undo of undos.splice(0).reverse()) {
        // One failed clean-up must not keep the others from running.
        await Promise.resolve()
          .then(undo)
          .catch((fault: unknown) => faults.push(fault))
      }
      await unmountBelow(root)
      await rm(root, { recursive: true, force: true, maxRetries: 5 })
      if (faults.length > 0) throw new AggregateError(faults, "clean-up failed")
    },
  }
}

/** Unmounts what container engines left below a folder, the deepest first. */
async function unmountBelow(root: string): Promise<void> {
  const points = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point.startsWith(`${root}/`))
  for (const point of points.reverse()) {
    await run(["umount", "--lazy", point], { mayFail: true })
  }
}
