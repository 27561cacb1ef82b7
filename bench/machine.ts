/**
 * What a figure was measured on: an absolute time means nothing without it.
 * @module
 */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { availableParallelism, cpus, hostname, loadavg, release, totalmem } from "node:os"
import { join } from "node:path"
import { packageRoot } from "./package-file.ts"

/** The machine and the code of one report. */
export interface Machine {
  readonly host: string
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly kernel: string
  readonly node: string
  readonly commit: string
  /** One-minute load average before the first run: what else went on. */
  readonly load: number
}

/** Looks at the machine, and at the suite's own commit (`+` when files differ from it). */
export function describeMachine(): Machine {
  return {
    host: hostname(),
    cpu: cpuModel(),
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    commit: commitName(),
    load: loadavg()[0] ?? 0,
  }
}

function cpuModel(): string {
  const model = cpus()[0]?.model.trim()
  if (model !== undefined && model !== "unknown") return model
  return /model name\s*:\s*(.+)/.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "unknown"
}

function commitName(): string {
  const folder = packageRoot()
  // Installed into somebody else's repository it has no commit.
  if (!existsSync(join(folder, ".git"))) return "unknown"
  try {
    // What needs namespaces runs as root, in a clone that is a user's: this folder is ours to read.
    const owned = ["-c", `safe.directory=${folder}`, "-C", folder]
    const git = (...args: string[]) =>
      execFileSync("git", [...owned, ...args], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }).trim()
    const isChanged = git("status", "--porcelain", "--untracked-files=no", "--", "src") !== ""
    return `${git("rev-parse", "--short=12", "HEAD")}${isChanged ? "+" : ""}`
  } catch {
    // Without git nobody can say.
    return "unknown"
  }
}
