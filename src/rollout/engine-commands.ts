/**
 * Commands of one program, one after the other, within one time for all.
 * @module
 */
import type { Readable } from "node:stream"
import type { Clock } from "../core/clock.ts"
import type { RunProgram } from "./bounded-program.ts"
import { RolloutError } from "./errors.ts"
import { reasonWith } from "./output-tail.ts"

/** How `podman`, `docker` and `ctr` say that what was named is not there. */
const ABSENT = /no such|not found|no running task/i

export class EngineCommands {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly #run: RunProgram
  readonly #program: readonly string[]
  readonly #endMs: number

  /** @param options.program - the program with words that come before all others */
  constructor(
    deps: { readonly run: RunProgram; readonly clock: Clock },
    options: {
      readonly program: readonly string[]
      readonly timeoutMs: number
      readonly signal: AbortSignal
    },
  ) {
    this.clock = deps.clock
    this.signal = options.signal
    this.#run = deps.run
    this.#program = options.program
    this.#endMs = deps.clock.monotonicMs() + options.timeoutMs
  }

  /**
   * Runs one; gives what it printed.
   * @throws {@link RolloutError} `ACTIVATION_FAILED`, with the tail of the output
   */
  async run(args: readonly string[], options: { readonly input?: Readable } = {}): Promise<string> {
    const { fault, stdout, tail } = await this.#call(args, options)
    if (fault === undefined) return stdout
    throw this.#failed(args, fault, tail)
  }

  /** Runs one about something. @returns undefined when that is not there */
  async runOn(args: readonly string[]): Promise<string | undefined> {
    const { fault, stdout, tail } = await this.#call(args, {})
    if (fault === undefined) return stdout
    if (ABSENT.test(tail)) return undefined
    throw this.#failed(args, fault, tail)
  }

  async #call(args: readonly string[], options: { readonly input?: Readable }) {
    const timeoutMs = Math.max(0, this.#endMs - this.clock.monotonicMs())
    const { signal } = this
    return await this.#run([...this.#program, ...args], { ...options, timeoutMs, signal })
  }

  #failed(args: readonly string[], fault: string, tail: string): RolloutError {
    const what = `${this.#program.join(" ")} ${args[0]}: ${fault}`
    return new RolloutError("ACTIVATION_FAILED", reasonWith(what, tail))
  }
}
