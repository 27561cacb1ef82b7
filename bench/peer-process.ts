/**
 * One side of a measurement: a process of its own that speaks one JSON object per line on stdin and
 * stdout, so that a TypeScript, a Python or any other peer is driven alike:
 * it says `{"event":"ready"}`, is told what to do, and says `{"event":"done","seconds":…}`.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { createInterface, type Interface } from "node:readline"
import type { Usage } from "./scenario.ts"

/** Unit of utime and stime in /proc/PID/stat: `getconf CLK_TCK` is 100 on every Linux of today. */
const TICKS_PER_SECOND = 100
const EXIT_MS_MAX = 5_000
const STDERR_BYTES_MAX = 4_096

/** A line from a peer. */
export type PeerMessage = Readonly<Record<string, unknown>> & { readonly event: string }

/** A running peer and what it uses. */
export class PeerProcess {
  readonly name: string
  readonly #child: ChildProcess
  readonly #lines: Interface
  readonly #messages: AsyncIterator<string>
  #stderr = ""
  #cpuAtStart = 0
  /** Whose usage counts, where it is another's: one that this process drives. */
  #measuredPid: number | undefined

  /** @param options - `signal` ends it; `environment` is added to this process's own */
  constructor(
    name: string,
    command: readonly [program: string, ...args: string[]],
    options: { signal: AbortSignal; environment?: Readonly<Record<string, string>> },
  ) {
    this.name = name
    const [program, ...args] = command
    this.#child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.environment },
      signal: options.signal,
    })
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_BYTES_MAX)
    })
    // A peer that died is reported by `next`; writing to it must not end this process.
    this.#child.stdin!.on("error", () => {})
    this.#child.on("error", (error) => {
      this.#stderr += error.message
    })
    this.#lines = createInterface({ input: this.#child.stdout! })
    this.#messages = this.#lines[Symbol.asyncIterator]()
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Waits for the next message, which must be this event. @throws Error when it is another or none */
  async next(event: string): Promise<PeerMessage> {
    return this.until(event, (message) => {
      throw new Error(`${this.name}: ${JSON.stringify(message)}`)
    })
  }

  /** Waits for this event; gives what comes before it to `onOther`. @throws Error when it ends */
  async until(event: string, onOther: (message: PeerMessage) => void): Promise<PeerMessage> {
    for (;;) {
      const line = await this.#messages.next()
      if (line.done === true) throw new Error(`${this.name} ended: ${this.#stderr.trim()}`)
      const message = JSON.parse(line.value) as PeerMessage
      if (message.event === event) return message
      onOther(message)
    }
  }

  tell(message: Readonly<Record<string, unknown>>): void {
    this.#child.stdin!.write(`${JSON.stringify(message)}\n`)
  }

  /** Counts what another process uses, in place of what this one does. */
  measure(pid: number): void {
    this.#measuredPid = pid
  }

  /** Forgets what was used so far, so that {@link usage} excludes the process's own start. */
  startUsage(): void {
    this.#cpuAtStart = resetUsage(this.#measuredPid ?? this.pid)
  }

  usage(): Usage {
    return usageSince(this.#measuredPid ?? this.pid, this.#cpuAtStart)
  }

  /** Ends it at once, as a loss of power would. */
  async kill9(): Promise<void> {
    this.#lines.close()
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, "exit")
    this.#child.kill("SIGKILL")
    await exited
  }

  /** Closes its stdin, which ends a well-behaved peer; kills one that stays. */
  async stop(): Promise<void> {
    this.#lines.close()
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    if (this.#child.pid === undefined) return
    const exited = once(this.#child, "exit")
    this.#child.stdin!.end()
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), EXIT_MS_MAX)
    await exited
    clearTimeout(timer)
  }
}

/** Begins to count what a process uses. @returns what {@link usageSince} needs */
export function resetUsage(pid: number): number {
  // "5" resets the peak of the resident set (Linux, proc_pid_clear_refs(5)).
  writeFileSync(`/proc/${pid}/clear_refs`, "5")
  return cpuSecondsOf(pid)
}

/** Gives what a process used since {@link resetUsage}. */
export function usageSince(pid: number, cpuSecondsBefore: number): Usage {
  return {
    cpuSeconds: cpuSecondsOf(pid) - cpuSecondsBefore,
    rssPeakBytes: rssPeakBytesOf(pid),
  }
}

/** Gives the user and system time of a process so far, all its threads together. */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  // The name in field 2 may hold spaces; fields 14 and 15 are counted from behind its parenthesis.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Gives the largest resident set of a process, bytes. */
function rssPeakBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
}
