/**
 * The main thread's side of one thread of a payload pool.
 * @module
 */
import { Worker } from "node:worker_threads"
import { SealError } from "./errors.ts"
import type { Answer, Digests, Part } from "./payload-job.ts"

/**
 * Young memory of a thread's heap, in MiB. What it makes lives for one chunk; with Node's own bound
 * ten times as much of it lies about before the collector comes.
 */
const YOUNG_MIB_MAX = 4

interface Waiter {
  readonly onProgress: (plainBytes: number) => void
  readonly resolve: (digests: Digests) => void
  readonly reject: (reason: unknown) => void
}

/** One thread. It keeps the process alive only while it has a part to do. */
export class PayloadThread {
  readonly #worker: Worker
  #waiter: Waiter | undefined
  #isDead = false

  constructor() {
    const file = import.meta.url.endsWith(".ts") ? "./payload-worker.ts" : "./payload-worker.js"
    this.#worker = new Worker(new URL(file, import.meta.url), {
      name: "payload",
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB_MAX },
    })
    this.#worker.unref()
    this.#worker.on("message", (answer: Answer) => this.#take(answer))
    this.#worker.on("error", (cause) => this.#died(cause))
    this.#worker.on("exit", () => this.#died(undefined))
  }

  get isDead(): boolean {
    return this.#isDead
  }

  /**
   * Does a part of a job; one at a time.
   * @throws {@link SealError} what the part refused
   * @throws Error the fault of the file system, with its code, or that the thread died
   */
  work(part: Part, onProgress: (plainBytes: number) => void): Promise<Digests> {
    return new Promise((resolve, reject) => {
      this.#waiter = { onProgress, resolve, reject }
      this.#worker.ref()
      this.#worker.postMessage(part)
    })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #take(answer: Answer): void {
    if (answer.kind === "progress") {
      this.#waiter?.onProgress(answer.plainBytes)
      return
    }
    const waiter = this.#waiter
    this.#waiter = undefined
    this.#worker.unref()
    if (answer.kind === "done") waiter?.resolve(answer.digests)
    else waiter?.reject(faultOf(answer))
  }

  #died(cause: unknown): void {
    this.#isDead = true
    this.#waiter?.reject(new Error("a payload thread ended before it was done", { cause }))
    this.#waiter = undefined
  }
}

function faultOf(answer: Extract<Answer, { kind: "refused" | "failed" }>): Error {
  if (answer.kind === "refused") return new SealError(answer.code, answer.message)
  return Object.assign(new Error(answer.message), { code: answer.code })
}
