/**
 * Requests and answers over one kept libp2p stream: asking side and answering side
 * (protocol/request.md).
 * @module
 */
import type { Stream } from "@libp2p/interface"
import { codeOf } from "../core/errors.ts"
import { CONTROL_MESSAGE_BYTES_MAX } from "../core/limits.ts"
import { NetError, requestRefused } from "./errors.ts"
import { REQUESTS_PER_PEER_MAX } from "./limit.ts"
import type { PeerId, RequestHandler } from "./net.ts"
import { encodeFrame, type Frame, FrameReader, parseRefusal } from "./request-frame.ts"

/** Requests that may wait for their turn, beyond those that run. */
const WAITING_REQUESTS_MAX = 1024
/** Bodies of one peer's running requests, and answers that it does not take; further ones wait unread. */
const RUNNING_BYTES_MAX: number = 2 * CONTROL_MESSAGE_BYTES_MAX
const EMPTY = new Uint8Array()

/** Sends frames in order; while the stream holds unsent bytes, frames wait here. */
class FrameSender {
  readonly #stream: Stream
  readonly #queue: Uint8Array[] = []
  readonly #onSent: () => void
  /** Of frames that the stream has not taken yet. */
  queuedBytes = 0

  /** @param onSent - the stream took a frame that had to wait */
  constructor(stream: Stream, onSent: () => void = () => {}) {
    this.#stream = stream
    this.#onSent = onSent
    // Later, for a stream that says it is idle is still sending: what is sent then would stay.
    stream.addEventListener("idle", () => queueMicrotask(() => this.#flush()))
  }

  send(frame: Frame): void {
    const bytes = encodeFrame(frame)
    this.#queue.push(bytes)
    this.queuedBytes += bytes.length
    this.#flush()
  }

  #flush(): void {
    const stream = this.#stream
    while (stream.writeStatus === "writable" && stream.writeBufferLength === 0) {
      const bytes = this.#queue.shift()
      if (bytes === undefined) return
      this.queuedBytes -= bytes.length
      stream.send(bytes)
      this.#onSent()
    }
  }
}

/** Calls back with each frame; a violation aborts the stream. */
function readFrames(
  stream: Stream,
  { onHeard, onFrame }: { onHeard: () => void; onFrame: (frame: Frame) => void },
): void {
  const reader = new FrameReader()
  stream.addEventListener("message", (event) => {
    onHeard()
    try {
      for (const frame of reader.push(event.data.subarray())) onFrame(frame)
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)))
    }
  })
}

interface Pending {
  readonly body: Uint8Array
  readonly resolve: (answer: Uint8Array) => void
  readonly reject: (error: unknown) => void
}

/** The asking side of a kept stream. */
export class Asker {
  readonly #stream: Stream
  readonly #sender: FrameSender
  readonly #running = new Map<number, Pending>()
  readonly #waiting = new Map<number, Pending>()
  #nextId = 0
  #failure: unknown

  constructor(stream: Stream, options: { onHeard: () => void; onClose: () => void }) {
    this.#stream = stream
    this.#sender = new FrameSender(stream)
    readFrames(stream, { onHeard: options.onHeard, onFrame: (frame) => this.#take(frame) })
    stream.addEventListener("close", (event) => {
      options.onClose()
      this.#fail(event.error)
    })
    // The answering side does not half-close: whoever does has gone.
    stream.addEventListener("remoteCloseWrite", () => stream.abort(new Error("the peer left")))
  }

  get isOpen(): boolean {
    return this.#failure === undefined && this.#stream.status === "open"
  }

  /** @throws NetError, or the signal's reason; see `PeerNetwork.request` */
  ask(body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      if (this.#failure !== undefined) return reject(this.#failure)
      if (this.#waiting.size >= WAITING_REQUESTS_MAX) return reject(requestRefused("BUSY"))
      const id = this.#nextId++ % 2 ** 32
      const onAbort = () => this.#cancel(id, signal.reason)
      const settle = () => signal.removeEventListener("abort", onAbort)
      signal.addEventListener("abort", onAbort, { once: true })
      this.#waiting.set(id, {
        body,
        resolve: (answer) => {
          settle()
          resolve(answer)
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      })
      this.#startWaiting()
    })
  }

  close(): void {
    this.#stream.abort(new Error("the network is stopping"))
  }

  #startWaiting(): void {
    for (const [id, pending] of this.#waiting) {
      if (this.#running.size >= REQUESTS_PER_PEER_MAX) return
      this.#waiting.delete(id)
      this.#running.set(id, pending)
      this.#sender.send({ kind: "request", id, body: pending.body })
    }
  }

  #take(frame: Frame): void {
    if (frame.kind !== "answer" && frame.kind !== "refusal") {
      throw new NetError("PROTOCOL_VIOLATION", `an asker gets no ${frame.kind}`)
    }
    const pending = this.#running.get(frame.id)
    // The answer to a request that was given up meanwhile.
    if (pending === undefined) return
    this.#running.delete(frame.id)
    if (frame.kind === "answer") pending.resolve(frame.body)
    else pending.reject(requestRefused(parseRefusal(frame.body)))
    this.#startWaiting()
  }

  #cancel(id: number, reason: unknown): void {
    const pending = this.#waiting.get(id) ?? this.#running.get(id)
    if (this.#running.delete(id)) this.#sender.send({ kind: "cancel", id, body: EMPTY })
    this.#waiting.delete(id)
    pending?.reject(reason)
    this.#startWaiting()
  }

  #fail(cause: unknown): void {
    const isViolation = codeOf(cause) === "PROTOCOL_VIOLATION"
    this.#failure = isViolation
      ? cause
      : new NetError("PEER_UNREACHABLE", "the connection to the peer ended", { cause })
    const pending = [...this.#running.values(), ...this.#waiting.values()]
    this.#running.clear()
    this.#waiting.clear()
    for (const { reject } of pending) reject(this.#failure)
  }
}

/** The answering side of a kept stream. */
export class Answerer {
  readonly #stream: Stream
  readonly #peer: PeerId
  readonly #handler: RequestHandler
  readonly #onAnswer: (outcome: string) => void
  readonly #sender: FrameSender
  readonly #running = new Map<number, AbortController>()
  #waiting: Frame[] = []
  #runningBytes = 0

  constructor(
    stream: Stream,
    options: {
      peer: PeerId
      handler: RequestHandler
      onAnswer: (outcome: string) => void
      onHeard: () => void
    },
  ) {
    this.#stream = stream
    this.#peer = options.peer
    this.#handler = options.handler
    this.#onAnswer = options.onAnswer
    this.#sender = new FrameSender(stream, () => this.#startWaiting())
    readFrames(stream, { onHeard: options.onHeard, onFrame: (frame) => this.#take(frame) })
    const gone = new NetError("PEER_UNREACHABLE", "the asker went")
    stream.addEventListener("close", () => {
      this.#waiting = []
      for (const controller of this.#running.values()) controller.abort(gone)
    })
    // An asker that closes its side wants no more answers.
    stream.addEventListener("remoteCloseWrite", () => stream.abort(gone))
  }

  #take(frame: Frame): void {
    if (frame.kind === "cancel") {
      this.#cancel(frame.id)
    } else if (frame.kind === "request" && !this.#running.has(frame.id)) {
      this.#waiting.push(frame)
      this.#startWaiting()
      if (this.#waiting.length <= WAITING_REQUESTS_MAX) return
      throw new NetError("PROTOCOL_VIOLATION", "the peer asks more than anybody can answer")
    } else {
      throw new NetError("PROTOCOL_VIOLATION", `unexpected ${frame.kind} ${frame.id}`)
    }
  }

  #cancel(id: number): void {
    this.#waiting = this.#waiting.filter((frame) => frame.id !== id)
    this.#running.get(id)?.abort(new NetError("PEER_UNREACHABLE", "the asker gave up"))
  }

  /** Runs what there is room for. While requests wait, nothing more is read. */
  #startWaiting(): void {
    while (this.#waiting.length > 0 && this.#hasRoom()) this.#run(this.#waiting.shift()!)
    // Later, for pausing a stream inside its own `resume` leaves its window open (yamux 8).
    if (this.#waiting.length > 0) queueMicrotask(() => this.#pause())
    else if (this.#stream.readStatus === "paused") this.#stream.resume()
  }

  #pause(): void {
    if (this.#waiting.length > 0 && this.#stream.readStatus === "readable") this.#stream.pause()
  }

  #hasRoom(): boolean {
    // An answer that was not taken yet counts: who asks and reads nothing would have all of them kept.
    const heldBytes = this.#runningBytes + this.#sender.queuedBytes
    return this.#running.size < REQUESTS_PER_PEER_MAX && heldBytes < RUNNING_BYTES_MAX
  }

  async #run({ id, body }: Frame): Promise<void> {
    const controller = new AbortController()
    this.#running.set(id, controller)
    this.#runningBytes += body.length
    const answer = await this.#answer(id, body, controller.signal)
    this.#running.delete(id)
    this.#runningBytes -= body.length
    this.#onAnswer(answer.kind)
    if (!controller.signal.aborted) this.#sender.send(answer)
    this.#startWaiting()
  }

  async #answer(id: number, body: Uint8Array, signal: AbortSignal): Promise<Frame> {
    try {
      const answer = await this.#handler(body, { peer: this.#peer, signal })
      if (answer.length > CONTROL_MESSAGE_BYTES_MAX) return refusal(id, "MESSAGE_TOO_LARGE")
      return { kind: "answer", id, body: answer }
    } catch (error) {
      return refusal(id, codeOf(error) ?? "INTERNAL")
    }
  }
}

function refusal(id: number, code: string): Frame {
  return { kind: "refusal", id, body: new TextEncoder().encode(code) }
}
