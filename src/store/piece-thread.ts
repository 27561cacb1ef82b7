/**
 * The main thread's side of a thread of the store: starts it when there is work, keeps the process
 * alive only meanwhile, and fails what it was asked when it dies.
 * @module
 */
import { Worker } from "node:worker_threads"
import type { Clock } from "../core/clock.ts"
import { storeClosed } from "./faults.ts"
import type { Answer, AskedJob, AttachJob, Job } from "./thread-job.ts"

/** A thread that is asked nothing and knows no blob ends after this time, and its memory goes. */
const IDLE_MS = 10_000
/** Jobs that one message carries. */
const MESSAGE_JOBS_MAX = 64

type Done = Extract<Answer, { kind: "done" }>

interface Waiter {
  readonly resolve: (answer: Done) => void
  readonly reject: (reason: unknown) => void
  readonly lengthBytes: number
}

type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never

/** One thread, for all the pieces or for all the whole blobs of a store. */
export class PieceThread {
  readonly #clock: Clock
  readonly #name: string
  #worker: Worker | undefined
  /** Grows with each thread that was started: a new one knows nothing of attached blobs. */
  #generation = 0
  #nextId = 1
  readonly #waiters = new Map<number, Waiter>()
  #outbox: Job[] = []
  /** The outbox goes at the end of the running task. */
  #isSending = false
  #transfers: ArrayBuffer[] = []
  /** Blobs that the thread knows. */
  #attachedCount = 0
  #cancelRest: (() => void) | undefined
  #isClosed = false
  #isReady = false
  #pendingBytes = 0

  constructor(deps: { clock: Clock }, options: { name: string }) {
    this.#clock = deps.clock
    this.#name = options.name
  }

  get generation(): number {
    return this.#generation
  }

  /** Whether the thread runs by now, so that a job need not wait for its start. */
  get isReady(): boolean {
    return this.#isReady
  }

  /** Bytes of jobs that are not answered yet. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /**
   * Makes a blob known until it is detached or the thread dies.
   * @returns the number by which the thread knows it
   */
  attach(job: Omit<AttachJob, "kind" | "blob">): number {
    const blob = this.#nextId++
    this.#attachedCount++
    this.#post({ kind: "attach", blob, ...job })
    return blob
  }

  /**
   * Tells that a piece is right and written. It goes with the next job, since waking a thread costs more
   * than the word is worth: nobody waits for it, and whoever asks for the whole comes after it.
   */
  wrote(blob: number, index: number): void {
    this.#outbox.push({ kind: "wrote", blob, index })
    if (this.#outbox.length >= MESSAGE_JOBS_MAX) this.#send()
  }

  drop(blob: number, indexes: readonly number[]): void {
    this.#post({ kind: "drop", blob, indexes })
  }

  /**
   * Asks for something to be done.
   * @param transfer - memory that goes over to the thread, for bytes that are not shared
   * @throws the fault of the file system, with its code, or that the thread died
   */
  ask(job: WithoutId<AskedJob>, transfer?: ArrayBuffer): Promise<Done> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      const lengthBytes = lengthOf(job)
      this.#pendingBytes += lengthBytes
      this.#waiters.set(id, { resolve, reject, lengthBytes })
      if (transfer !== undefined) this.#transfers.push(transfer)
      if (job.kind === "detach") this.#attachedCount--
      this.#post({ ...job, id })
    })
  }

  /** Starts the thread, so that a generation is current before blobs are attached to it. */
  start(): void {
    if (this.#worker !== undefined || this.#isClosed) return
    this.#generation++
    const file = import.meta.url.endsWith(".ts") ? "./piece-worker.ts" : "./piece-worker.js"
    const worker = new Worker(new URL(file, import.meta.url), {
      name: this.#name,
      execArgv: [],
    })
    worker.unref()
    worker.on("message", (answers: readonly Answer[]) => this.#take(answers))
    worker.on("error", (error) => this.#died(worker, error))
    worker.on("exit", () => this.#died(worker, undefined))
    this.#worker = worker
  }

  /** Starts the thread for work that is about to come. If none does, it ends as after work. */
  warm(): void {
    if (this.#worker !== undefined || this.#isClosed) return
    this.start()
    this.#restLater()
  }

  /** Stops the thread. What it was still asked fails. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#stop()
  }

  async #stop(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) return
    const ended = worker.terminate()
    this.#died(worker, undefined)
    await ended
  }

  #restLater(): void {
    this.#cancelRest?.()
    if (this.#attachedCount > 0) return
    this.#cancelRest = this.#clock.after(IDLE_MS, () => {
      this.#stop().catch(() => {
        // A thread that cannot be ended has ended.
      })
    })
  }

  #post(job: Job): void {
    this.start()
    this.#cancelRest?.()
    this.#outbox.push(job)
    if (this.#outbox.length >= MESSAGE_JOBS_MAX) this.#send()
    else this.#sendSoon()
  }

  #sendSoon(): void {
    if (this.#isSending) return
    this.#isSending = true
    queueMicrotask(() => this.#send())
  }

  #send(): void {
    this.#isSending = false
    if (this.#outbox.length === 0) return
    const jobs = this.#outbox
    const transfers = this.#transfers
    this.#outbox = []
    this.#transfers = []
    const worker = this.#worker
    if (worker === undefined) {
      this.#failAll(undefined)
      return
    }
    worker.ref()
    worker.postMessage(jobs, transfers)
  }

  #take(answers: readonly Answer[]): void {
    this.#isReady = true
    for (const answer of answers) {
      const waiter = this.#waiters.get(answer.id)
      this.#waiters.delete(answer.id)
      this.#pendingBytes -= waiter?.lengthBytes ?? 0
      if (answer.kind === "done") waiter?.resolve(answer)
      else waiter?.reject(Object.assign(new Error(answer.message), { code: answer.code }))
    }
    if (this.#waiters.size > 0) return
    this.#worker?.unref()
    this.#restLater()
  }

  #died(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    this.#isReady = false
    this.#cancelRest?.()
    this.#attachedCount = 0
    this.#outbox = []
    this.#transfers = []
    this.#failAll(cause)
  }

  #failAll(cause: unknown): void {
    const error = this.#isClosed
      ? storeClosed()
      : new Error("the store's piece thread ended before it was done", { cause })
    for (const waiter of this.#waiters.values()) waiter.reject(error)
    this.#waiters.clear()
    this.#pendingBytes = 0
  }
}

/** Gives the bytes that a job brings along. */
function lengthOf(job: WithoutId<AskedJob>): number {
  return "bytes" in job ? job.bytes.length : 0
}
