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
    const startMs = performance.now()
    const { counts, atMs } = await countSockets(filter)
    for (const [socket, bytes] of counts) bySocket.set(socket, bytes)
    const bytes = [...bySocket.values()].reduce((sum, one) => sum + one, 0)
    // Before the transfer begins there is the nodes' own talk.
    base ??= bytes
    if (samples.length > 0 || bytes > base + GREETING_BYTES) samples.push({ atMs, bytes })
    if (samples.length > 0 && atMs - samples[0]!.atMs > durationMs) return samples
    await sleep(Math.max(0, SAMPLE_MS - (performance.now() - startMs)))
  }
}

const GREETING_BYTES = 48 * 1024

/**
 * Tells the time right before and after the look: on a busy machine the start of a program takes 0.1 to
 * 0.3 s, which moves a window of five seconds by up to 2 %.
 */
const LOOK = 'echo $EPOCHREALTIME; ss -tinpHO "$1"; echo $EPOCHREALTIME'

async function countSockets({ pid, port, direction }: SocketFilter): Promise<{
  readonly counts: ReadonlyMap<string, number>
  /** The middle of the look, milliseconds of the machine's clock. */
  readonly atMs: number
}> {
  const sockets = `( sport = :${port} or dport = :${port} )`
  const { stdout } = await run(["env", "LC_ALL=C", "bash", "-c", LOOK, "bash", sockets])
  const lines = stdout.trimEnd().split("\n")
  const count = direction === "sent" ? /bytes_acked:(\d+)/ : /bytes_received:(\d+)/
  const counts = new Map<string, number>()
  for (const line of lines) {
    if (!line.includes(`pid=${pid},`)) continue
    const [, , , local, remote] = line.split(/\s+/)
    counts.set(`${local} ${remote}`, Number(count.exec(line)?.[1] ?? 0))
  }
  const [beganMs, endedMs] = [lines[0], lines.at(-1)].map((seconds) => Number(seconds) * 1000)
  return { counts, atMs: (beganMs! + endedMs!) / 2 }
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
