/**
 * What a figure was measured on: an absolute time means nothing without it.
 * @module
 */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { availableParallelism, cpus, hostname, loadavg, release, totalmem } from "node:os"

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

/** Looks at the machine, and at the commit that is checked out (`+` when files differ from it). */
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
  try {
    const git = (...args: string[]) =>
      execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
    const isChanged = git("status", "--porcelain", "--untracked-files=no", "--", "src") !== ""
    return `${git("rev-parse", "--short=12", "HEAD")}${isChanged ? "+" : ""}`
  } catch {
    // A package without its repository has no commit to name.
    return "unknown"
  }
}
