/**
 * What the kernel counts on the sockets of a process, sampled over time.
 * @module
 */
import { performance } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { run } from "./process.ts"

const SAMPLE_MS = 100

/** Bytes that had passed at a moment. */
export interface Sample {
  readonly atMs: number
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
    const beganMs = performance.now()
    for (const [socket, bytes] of await countSockets(filter)) bySocket.set(socket, bytes)
    const atMs = (beganMs + performance.now()) / 2
    const bytes = [...bySocket.values()].reduce((sum, one) => sum + one, 0)
    // Before the transfer begins there is the nodes' own talk.
    base ??= bytes
    if (samples.length > 0 || bytes > base + GREETING_BYTES) samples.push({ atMs, bytes })
    if (samples.length > 0 && atMs - samples[0]!.atMs > durationMs) return samples
    await sleep(Math.max(0, SAMPLE_MS - (performance.now() - beganMs)))
  }
}

const GREETING_BYTES = 48 * 1024

async function countSockets({ pid, port, direction }: SocketFilter): Promise<Map<string, number>> {
  const { stdout } = await run(["ss", "-tinpHO", `( sport = :${port} or dport = :${port} )`])
  const count = direction === "sent" ? /bytes_acked:(\d+)/ : /bytes_received:(\d+)/
  const counts = new Map<string, number>()
  for (const line of stdout.split("\n")) {
    if (!line.includes(`pid=${pid},`)) continue
    const [, , , local, remote] = line.split(/\s+/)
    counts.set(`${local} ${remote}`, Number(count.exec(line)?.[1] ?? 0))
  }
  return counts
}

/** Gives the smallest and largest mean rate over windows that slide from sample to sample. */
export function windowRates(
  samples: readonly Sample[],
  windowMs: number,
): { min: number; max: number; count: number } {
  let [min, max, count] = [Number.POSITIVE_INFINITY, 0, 0]
  for (const [at, start] of samples.entries()) {
    const end = samples.slice(at).find(({ atMs }) => atMs >= start.atMs + windowMs)
    if (end === undefined) break
    const rate = ((end.bytes - start.bytes) * 1000) / (end.atMs - start.atMs)
    min = Math.min(min, rate)
    max = Math.max(max, rate)
    count++
  }
  return { min, max, count }
}
