/**
 * What the kernel counts on the sockets of a process, sampled over time.
 * @module
 */
import { performance } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { run } from "./process.ts"

const SAMPLE_MS = 100

/** Bytes that had passed at a moment, which lies between two others. */
export interface Sample {
  /** The middle of the two. */
  readonly atMs: number
  readonly beganMs: number
  readonly endedMs: number
  readonly bytes: number
}

/** Which bytes of which sockets. */
export interface SocketFilter {
  readonly pid: number
  /** TCP port at either end. */
  readonly port: number
  readonly direction: "sent" | "received"
}

/**
 * Samples the sum over all sockets of a process, with those that are closed meanwhile.
 * @param durationMs - counted from the first byte of more than a greeting
 */
export async function sampleSockets(
  filter: SocketFilter,
  durationMs: number,
): Promise<readonly Sample[]> {
  const bySocket = new Map<string, number>()
  const samples: Sample[] = []
  let base: number | undefined
  for (;;) {
    const startMs = performance.now()
    const { counts, beganMs, endedMs } = await countSockets(filter)
    for (const [socket, bytes] of counts) bySocket.set(socket, bytes)
    const atMs = (beganMs + endedMs) / 2
    const bytes = [...bySocket.values()].reduce((sum, one) => sum + one, 0)
    // Before the transfer begins there is the nodes' own talk.
    base ??= bytes
    if (samples.length > 0 || bytes > base + GREETING_BYTES)
      samples.push({ atMs, beganMs, endedMs, bytes })
    if (samples.length > 0 && atMs - samples[0]!.atMs > durationMs) return samples
    await sleep(Math.max(0, SAMPLE_MS - (performance.now() - startMs)))
  }
}

const GREETING_BYTES = 48 * 1024

/** The times are taken next to the look itself: on a busy machine the start of a program takes 0.1 s. */
const LOOK = 'date +%s%N; ss -tinpHO "$1"; date +%s%N'

interface Look {
  readonly counts: ReadonlyMap<string, number>
  /** Milliseconds of the machine's clock. */
  readonly beganMs: number
  readonly endedMs: number
}

async function countSockets({ pid, port, direction }: SocketFilter): Promise<Look> {
  const sockets = `( sport = :${port} or dport = :${port} )`
  const { stdout } = await run(["sh", "-c", LOOK, "sh", sockets])
  const count = direction === "sent" ? /bytes_acked:(\d+)/ : /bytes_received:(\d+)/
  const counts = new Map<string, number>()
  const lines = stdout.trim().split("\n")
  for (const line of lines) {
    if (!line.includes(`pid=${pid},`)) continue
    const [, , , local, remote] = line.split(/\s+/)
    counts.set(`${local} ${remote}`, Number(count.exec(line)?.[1] ?? 0))
  }
  const [beganMs, endedMs] = [lines[0], lines.at(-1)].map((text) => Number(text) / 1e6)
  return { counts, beganMs: beganMs!, endedMs: endedMs! }
}

/** Mean rates over windows that slide from sample to sample, bytes per second. */
export interface WindowRates {
  readonly min: number
  readonly max: number
  readonly count: number
}

/** Gives the smallest and largest rate, each sample taken for one of its middle. */
export function windowRates(samples: readonly Sample[], windowMs: number): WindowRates {
  return ratesOf(windowsOf(samples, windowMs), ({ atMs: from }, { atMs: to }) => [to - from])
}

/**
 * The same for a verdict: no rate was smaller than `min` nor larger than `max` for sure. When a sample
 * was taken is known to what the look itself took, and a machine that stops for a moment in its midst
 * must not be laid to the charge of who is measured. Windows that are not known to `clearShare` of their
 * length say nothing and are not counted.
 */
export function provenRates(
  samples: readonly Sample[],
  windowMs: number,
  { clearShare }: { clearShare: number },
): WindowRates {
  const windows = windowsOf(samples, windowMs).filter(([start, end]) => {
    const unclearMs = end.endedMs - end.beganMs + start.endedMs - start.beganMs
    return unclearMs <= windowMs * clearShare
  })
  return ratesOf(windows, (start, end) => [
    end.beganMs - start.endedMs,
    end.endedMs - start.beganMs,
  ])
}

type Window = readonly [start: Sample, end: Sample]

function windowsOf(samples: readonly Sample[], windowMs: number): Window[] {
  return samples.flatMap((start, at): Window[] => {
    const end = samples.slice(at).find(({ atMs }) => atMs >= start.atMs + windowMs)
    return end === undefined ? [] : [[start, end]]
  })
}

/** @param durations - the shortest and the longest, milliseconds; one when they are the same */
function ratesOf(
  windows: readonly Window[],
  durations: (...window: Window) => readonly [shortest: number, longest?: number],
): WindowRates {
  let [min, max] = [Number.POSITIVE_INFINITY, 0]
  for (const [start, end] of windows) {
    const [shortest, longest = shortest] = durations(start, end)
    const bytes = end.bytes - start.bytes
    min = Math.min(min, (bytes * 1000) / shortest)
    max = Math.max(max, (bytes * 1000) / longest)
  }
  return { min, max, count: windows.length }
}
