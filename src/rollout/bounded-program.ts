/**
 * Programs of the node's machine, run without a shell in a process group of their own: for so long and
 * no longer, with an environment that is named here, and output of which a bounded part is kept.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process"
import type { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import { OutputTail } from "./output-tail.ts"

/** From asking a process group to end until it is killed, milliseconds. */
export const KILL_GRACE_MS = 2_000
/** How long output is waited for that comes from what an ended program left behind, milliseconds. */
const DRAIN_MS = 500
/** Most of the standard output that is given back; the rest is read and dropped. */
const STDOUT_BYTES_MAX: number = 256 * 1024
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
const DEFAULT_LANG = "C.UTF-8"

/** How a program is run. */
export interface ProgramOptions {
  /** Beside `PATH`, `HOME` and `LANG`. */
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** What it reads; nothing unless given. */
  readonly input?: Readable
}

/** What became of it. */
export interface ProgramOutcome {
  /** What went wrong, in words; undefined when it ended with 0. */
  readonly fault: string | undefined
  /** The first 256 KiB of its standard output. */
  readonly stdout: string
  /** The end of both its outputs, as one line. */
  readonly tail: string
}

/**
 * Runs a program and its arguments to the end.
 * @throws the signal's reason when it is aborted; its process group is gone then
 */
export type RunProgram = (
  argv: readonly string[],
  options: ProgramOptions,
) => Promise<ProgramOutcome>

/**
 * Gives the way to run programs.
 * @param own - the node's own environment: of it `PATH`, `HOME` and `LANG` are handed on, nothing else
 */
export function programRunner(
  clock: Clock,
  own: Readonly<Record<string, string | undefined>>,
): RunProgram {
  const base = {
    PATH: own.PATH || DEFAULT_PATH,
    HOME: own.HOME || "/",
    LANG: own.LANG || DEFAULT_LANG,
  }
  return async (argv, options) => {
    options.signal.throwIfAborted()
    const run = new ProgramRun(clock, options)
    const outcome = await run.start(argv, { ...base, ...options.env })
    options.signal.throwIfAborted()
    return outcome
  }
}

class ProgramRun {
  readonly #clock: Clock
  readonly #options: ProgramOptions
  readonly #tail = new OutputTail()
  readonly #stdout: Uint8Array[] = []
  #stdoutBytes = 0
  /** Why it was told to end. */
  #stopped: string | undefined

  constructor(clock: Clock, options: ProgramOptions) {
    this.#clock = clock
    this.#options = options
  }

  async start(
    [program = "", ...args]: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<ProgramOutcome> {
    const { input, timeoutMs, signal } = this.#options
    let child: ChildProcess
    try {
      const stdin = input === undefined ? ("ignore" as const) : ("pipe" as const)
      // Detached: the first of a process group, so that all that it starts can be ended with it.
      child = spawn(program, args, {
        ...{ cwd: "/", detached: true, shell: false, env: { ...env } },
        stdio: [stdin, "pipe", "pipe"],
      })
    } catch (error) {
      return this.#outcome(`it cannot be run (${messageOf(error)})`)
    }
    this.#listen(child, input)
    const cancel = this.#clock.after(timeoutMs, () => {
      this.#stop(child, `it was not done within ${timeoutMs} ms`)
    })
    const onAbort = () => this.#stop(child, "it was stopped")
    signal.addEventListener("abort", onAbort, { once: true })
    try {
      return this.#outcome(await this.#ended(child))
    } finally {
      cancel()
      signal.removeEventListener("abort", onAbort)
      input?.destroy()
    }
  }

  #listen(child: ChildProcess, input: Readable | undefined): void {
    child.stdout?.on("data", (part: Buffer) => {
      this.#tail.push(part)
      const room = STDOUT_BYTES_MAX - this.#stdoutBytes
      if (room > 0) this.#stdout.push(part.subarray(0, room))
      this.#stdoutBytes += Math.min(part.length, room)
    })
    child.stderr?.on("data", (part: Buffer) => this.#tail.push(part))
    if (input === undefined || child.stdin === null) return
    pipeline(input, child.stdin).catch((error: unknown) => {
      // A program may end without reading all; when the source fails it must not read half for a whole.
      const hasEnded = child.exitCode !== null || child.signalCode !== null
      if (hasEnded || codeOf(error) === "EPIPE") return
      this.#stop(child, `its input failed (${messageOf(error)})`)
    })
  }

  /** Asks the process group to end, and kills it after a while. */
  #stop(child: ChildProcess, why: string): void {
    if (this.#stopped !== undefined) return
    this.#stopped = why
    signalGroup(child, "SIGTERM")
    const cancel = this.#clock.after(KILL_GRACE_MS, () => signalGroup(child, "SIGKILL"))
    child.once("exit", cancel)
  }

  /** Waits for the end. @returns what went wrong */
  async #ended(child: ChildProcess): Promise<string | undefined> {
    const closed = new Promise<void>((resolve) => child.once("close", () => resolve()))
    const fault = await new Promise<string | undefined>((resolve) => {
      child.once("error", (error) =>
        resolve(`it cannot be run (${codeOf(error) ?? error.message})`),
      )
      child.once("exit", (code, signal) => {
        if (code !== 0) resolve(`it ended with ${code ?? signal}`)
        else resolve(undefined)
      })
    })
    if (child.pid === undefined) return fault
    // What was told to end has ended: so does what it has started.
    if (this.#stopped !== undefined) signalGroup(child, "SIGKILL")
    await this.#drain(child, closed)
    return this.#stopped ?? fault
  }

  /** Output may be held open by a service that the program has started, and that is to stay. */
  async #drain(child: ChildProcess, closed: Promise<void>): Promise<void> {
    const cancel = this.#clock.after(DRAIN_MS, () => {
      child.stdout?.destroy()
      child.stderr?.destroy()
    })
    await closed
    cancel()
  }

  #outcome(fault: string | undefined): ProgramOutcome {
    const stdout = Buffer.concat(this.#stdout).toString("utf8")
    return { fault, stdout, tail: this.#tail.text() }
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    // All of it is gone already.
    if (codeOf(error) !== "ESRCH") throw error
  }
}
