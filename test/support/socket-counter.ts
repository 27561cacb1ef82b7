/**
 * What the kernel counts on the sockets of a process, sampled over time.
 * @module
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import process from "node:process"
import { createInterface } from "node:readline"

const SAMPLE_MS = 100

/** Bytes that had passed at a moment. */
export interface Sample {
  readonly atMs: number
  readonly bytes: number
}

/** Which bytes of which sockets. */
export interface SocketFilter {
  readonly pid: number
  /** TCP port on which whoever sends listens; all its peers dial it. */
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
  for await (const { counts, atMs } of watchSockets(filter)) {
    for (const [socket, bytes] of counts) bySocket.set(socket, bytes)
    const bytes = [...bySocket.values()].reduce((sum, one) => sum + one, 0)
    // Before the transfer begins there is the nodes' own talk.
    base ??= bytes
    if (samples.length > 0 || bytes > base + GREETING_BYTES) samples.push({ atMs, bytes })
    if (samples.length > 0 && atMs - samples[0]!.atMs > durationMs) break
  }
  return samples
}

const GREETING_BYTES = 48 * 1024

/**
 * Looks again and again, and tells the time right before and after each look. One program does all looks,
 * before others where it may: on a machine that the nodes fill, the start of a program takes 0.1 to 0.3 s,
 * which moves a window of five seconds by up to 2 %, and leaves too few of them.
 */
const LOOKS = `
renice -n -15 $$ >/dev/null 2>&1
while echo "began $EPOCHREALTIME"; do
  ss "$1" "$2"
  echo "ended $EPOCHREALTIME"
  sleep ${SAMPLE_MS / 1000}
done`

/** Bytes by socket at a moment. */
interface Look {
  readonly counts: ReadonlyMap<string, number>
  /** The middle of the look, milliseconds of the machine's clock. */
  readonly atMs: number
}

async function* watchSockets({ pid, port, direction }: SocketFilter): AsyncGenerator<Look> {
  // To look for the process of each socket takes as long as all else: a port may tell it, too.
  const [columns, sockets] =
    direction === "sent" ? ["-tinHO", `sport = :${port}`] : ["-tinpHO", `dport = :${port}`]
  const env = { ...process.env, LC_ALL: "C" }
  const program = spawn("bash", ["-c", LOOKS, "bash", columns, sockets], {
    env,
    stdio: ["ignore", "pipe", "ignore"],
  })
  const count = direction === "sent" ? /bytes_acked:(\d+)/ : /bytes_received:(\d+)/
  let counts = new Map<string, number>()
  let beganMs = 0
  try {
    for await (const line of createInterface({ input: program.stdout })) {
      const [first, second] = line.split(" ", 2)
      if (first === "began") {
        counts = new Map()
        beganMs = Number(second) * 1000
      } else if (first === "ended") {
        yield { counts, atMs: (beganMs + Number(second) * 1000) / 2 }
      } else if (direction === "sent" || line.includes(`pid=${pid},`)) {
        const [, , queued, local, remote] = line.split(/\s+/)
        const passed = Number(count.exec(line)?.[1] ?? 0)
        // What a receiver leaves in the queue was sent: it comes late for a reason of its own.
        const waiting = direction === "sent" ? Number(queued) : 0
        counts.set(`${local} ${remote}`, passed + waiting)
      }
    }
  } finally {
    // It ends by itself with its pipe, too.
    program.kill()
    if (program.exitCode === null && program.signalCode === null) await once(program, "exit")
  }
}

/** So long nearly as much as is wanted has to pass before it counts as asked for by all. */
const DEMAND_MS = 1_000
const DEMAND_SHARE = 0.95

/**
 * Gives the smallest and largest mean rate over windows that slide from sample to sample.
 * @param options.wanted - bytes per second; the smallest is looked for from the end of the first second on
 * in which nearly as much passed: before that not all who fetch have asked, and one burst says nothing
 */
export function windowRates(
  samples: readonly Sample[],
  windowMs: number,
  { wanted = 0 }: { readonly wanted?: number } = {},
): { min: number; max: number; count: number } {
  let [min, max, count] = [Number.POSITIVE_INFINITY, 0, 0]
  const begun = samples.findIndex((sample, at) => {
    const before = samples.slice(0, at).findLast(({ atMs }) => atMs <= sample.atMs - DEMAND_MS)
    return before !== undefined && rateOf(before, sample) >= wanted * DEMAND_SHARE
  })
  for (const [at, start] of samples.entries()) {
    const end = samples.slice(at).find(({ atMs }) => atMs >= start.atMs + windowMs)
    if (end === undefined) break
    const rate = rateOf(start, end)
    if (at >= begun) min = Math.min(min, rate)
    max = Math.max(max, rate)
    count++
  }
  return { min, max, count }
}

/** Bytes per second. */
function rateOf(start: Sample, end: Sample): number {
  return ((end.bytes - start.bytes) * 1000) / (end.atMs - start.atMs)
}
