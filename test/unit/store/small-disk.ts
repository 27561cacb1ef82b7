/** File systems of a given size, mounted for one test. Needs root. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onTestFinished } from "vitest"

/** Whether this process may mount; without, the tests that need it are skipped by name. */
export const canMount: boolean = tryMount()

/** Mounts an empty file system in memory; it goes with its test. */
export function mountSmallDisk(sizeMib: number): string {
  const directory = mkdtempSync(join(tmpdir(), "sealift-disk-"))
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMib}m`, "tmpfs", directory])
  onTestFinished(() => {
    execFileSync("umount", ["-l", directory])
    rmSync(directory, { recursive: true })
  })
  return directory
}

/** Takes or gives back the right to write. */
export function remount(directory: string, right: "ro" | "rw"): void {
  execFileSync("mount", ["-o", `remount,${right}`, directory])
}

function tryMount(): boolean {
  const directory = mkdtempSync(join(tmpdir(), "sealift-disk-"))
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", directory], { stdio: "ignore" })
    execFileSync("umount", [directory])
    return true
  } catch {
    return false
  } finally {
    rmSync(directory, { recursive: true })
  }
}
