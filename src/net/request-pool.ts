/**
 * The kept request streams of one node: one per peer and protocol, opened when first needed.
 * @module
 */
import type { Connection, Stream } from "@libp2p/interface"
import type { Clock } from "../core/clock.ts"
import { codeOf } from "../core/errors.ts"
import { CONTROL_MESSAGE_BYTES_MAX } from "../core/limits.ts"
import type { Counter, Metrics } from "../core/metrics.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { startDeadline } from "./deadline.ts"
import { NetError, requestRefused } from "./errors.ts"
import type { PeerId, RequestHandler } from "./net.ts"
import { Answerer, Asker } from "./request-stream.ts"

const OPEN_TIMEOUT_MS = 5_000

/** What the pool needs of the network. */
export interface RequestPoolDeps {
  readonly clock: Clock
  readonly metrics: Metrics
  /** Gives a connection to the peer, dialling if there is none. */
  readonly connect: (peer: PeerId, signal: AbortSignal) => Promise<Connection>
  /** Something came from a peer. */
  readonly onHeard: (peer: PeerId) => void
}

/** Asks and answers. */
export class RequestPool {
  readonly #deps: RequestPoolDeps
  readonly #askers = new Map<string, Asker | Promise<Asker>>()
  readonly #open = new Set<Asker>()
  readonly #count: Counter

  constructor(deps: RequestPoolDeps) {
    this.#deps = deps
    this.#count = deps.metrics.counter(
      "sealift_net_requests_total",
      "Requests between nodes, by direction and outcome.",
      ["direction", "outcome"],
    )
  }

  async request(
    peer: PeerId,
    protocol: string,
    body: Uint8Array,
    options: { signal: AbortSignal },
  ): Promise<Uint8Array> {
    const { signal } = options
    signal.throwIfAborted()
    if (body.length > CONTROL_MESSAGE_BYTES_MAX) throw requestRefused("MESSAGE_TOO_LARGE")
    try {
      const kept = this.#asker(peer, protocol)
      const asker = kept instanceof Asker ? kept : await untilAborted(kept, signal)
      const answer = await asker.ask(body, signal)
      this.#count.add(1, { direction: "out", outcome: "answer" })
      return answer
    } catch (error) {
      const outcome = codeOf(error) === "REQUEST_REFUSED" ? "refusal" : "failure"
      this.#count.add(1, { direction: "out", outcome })
      throw error
    }
  }

  /** Answers the requests of one inbound stream. */
  serve(stream: Stream, peer: PeerId, handler: RequestHandler): void {
    const onAnswer = (outcome: string) => this.#count.add(1, { direction: "in", outcome })
    const onHeard = () => this.#deps.onHeard(peer)
    new Answerer(stream, { peer, handler, onAnswer, onHeard })
  }

  close(): void {
    for (const asker of this.#open) asker.close()
  }

  #asker(peer: PeerId, protocol: string): Asker | Promise<Asker> {
    const key = `${peer} ${protocol}`
    const kept = this.#askers.get(key)
    if (kept !== undefined && !(kept instanceof Asker && !kept.isOpen)) return kept
    const opening = this.#openAsker(peer, protocol, key)
    this.#askers.set(key, opening)
    opening.then(
      (asker) => this.#askers.set(key, asker),
      () => this.#askers.delete(key),
    )
    return opening
  }

  async #openAsker(peer: PeerId, protocol: string, key: string): Promise<Asker> {
    const deadline = startDeadline(this.#deps.clock, OPEN_TIMEOUT_MS)
    try {
      const connection = await this.#deps.connect(peer, deadline.signal)
      const stream = await openStream(connection, protocol, deadline.signal)
      const onHeard = () => this.#deps.onHeard(peer)
      const onClose = () => {
        this.#open.delete(asker)
        if (this.#askers.get(key) === asker) this.#askers.delete(key)
      }
      const asker = new Asker(stream, { onHeard, onClose })
      this.#open.add(asker)
      return asker
    } finally {
      deadline.clear()
    }
  }
}

/**
 * Opens a stream.
 * @throws NetError `REQUEST_REFUSED` when the peer does not speak the protocol, else
 * `PEER_UNREACHABLE`
 */
export async function openStream(
  connection: Connection,
  protocol: string,
  signal: AbortSignal,
): Promise<Stream> {
  let stream: Stream
  try {
    stream = await connection.newStream(protocol, { signal, runOnLimitedConnection: true })
  } catch (cause) {
    if (cause instanceof Error && cause.name === "UnsupportedProtocolError") {
      throw requestRefused("PROTOCOL_UNKNOWN")
    }
    throw new NetError("PEER_UNREACHABLE", "no stream to the peer can be opened", { cause })
  }
  // A peer that refuses may have reset the stream before anybody could listen to it.
  if (stream.status !== "open") throw new NetError("PEER_UNREACHABLE", "the peer reset the stream")
  return stream
}
