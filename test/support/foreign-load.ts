/**
 * How much of the processors others use meanwhile: what is measured beside them says little.
 * @module
 */
import { readFileSync } from "node:fs"
import { performance } from "node:perf_hooks"

/** Kernel ticks per second (`getconf CLK_TCK`); 100 on every Linux of today. */
const TICKS_PER_SECOND = 100

/**
 * Begins to measure. The processes must live until the end.
 * @param pids - our own processes, beside this one and its finished children
 * @returns gives the processors that others used since, on average
 */
export function watchForeignLoad(pids: readonly number[]): () => number {
  const own = [process.pid, ...pids]
  const begun = { atMs: performance.now(), busy: busyTicks(), own: ticksOf(own) }
  return () => {
    const seconds = (performance.now() - begun.atMs) / 1000
    const foreign = busyTicks() - begun.busy - (ticksOf(own) - begun.own)
    return Math.max(0, foreign / TICKS_PER_SECOND / seconds)
  }
}

/**
 * User, nice, system, irq, softirq of all processors, and what the host took for others (proc(5),
 * /proc/stat).
 */
function busyTicks(): number {
  const [line] = readFileSync("/proc/stat", "utf8").split("\n")
  const [user, nice, system, , , irq, softirq, steal] = line!.split(/\s+/).slice(1).map(Number)
  return user! + nice! + system! + irq! + softirq! + (steal ?? 0)
}

function ticksOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // utime, stime, and those of children that were waited for; the name may hold blanks.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return sum + fields.slice(11, 15).reduce((ticks, field) => ticks + Number(field), 0)
  }, 0)
}
