/**
 * Ties a byte stream to the parser and the writer of the wire, with backpressure both ways.
 * @module
 */
import type { Duplex } from "node:stream"
import type { Channel } from "../net/net.ts"
import type { WireFault } from "./errors.ts"
import type { LinkTraffic } from "./shaping.ts"
import { WireParser, type WireSink } from "./wire-parser.ts"
import { WireWriter } from "./wire-writer.ts"

/** Takes what the wire brings, and its end. */
export interface WireOwner extends WireSink {
  /** Called once. @param fault - what the other side did wrong, if that was the reason */
  onClosed(fault: WireFault | undefined): void
}

/** A byte stream, and the cheaper way to read it where there is one; see `Channel.borrow`. */
export interface WireStream {
  /** What carries it, where it is a channel. */
  readonly kind?: Channel["kind"]
  readonly duplex: Duplex
  readonly borrow?: ((sink: (bytes: Uint8Array) => void) => void) | undefined
}

/** One connection that speaks the wire. */
export class WireSocket {
  readonly writer: WireWriter
  readonly #duplex: Duplex
  readonly #parser: WireParser
  readonly #owner: WireOwner
  readonly #traffic: LinkTraffic | undefined
  #isWaiting = false
  #isClosed = false

  readonly #borrow: WireStream["borrow"]

  /** @param options.traffic - counts what comes and goes, where there are limits */
  constructor(
    stream: WireStream,
    owner: WireOwner,
    options: { hasContexts: boolean; traffic?: LinkTraffic | undefined },
  ) {
    const { duplex } = stream
    this.#duplex = duplex
    this.#borrow = stream.borrow
    this.#owner = owner
    this.#parser = new WireParser(owner)
    const { hasContexts, traffic } = options
    this.#traffic = traffic
    const onSmall = traffic === undefined ? undefined : (bytes: number) => traffic.onSent(bytes)
    this.writer = new WireWriter(duplex, {
      hasContexts,
      onSmall,
      // Each write to a socket wakes the other side: what one turn of the event loop brings goes together.
      soon: stream.kind === "tls" ? setImmediate : queueMicrotask,
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** True while nothing is read because a block has no place to go. */
  get isWaiting(): boolean {
    return this.#isWaiting
  }

  /** Begins to read. `first` are bytes that somebody read before. */
  start(first?: Uint8Array): void {
    const duplex = this.#duplex
    const take = (chunk: Uint8Array) => {
      this.#traffic?.onReceived(chunk.length)
      if (!this.#isClosed) this.#onOutcome(this.#parser.feed(chunk))
    }
    duplex.on("error", () => this.#end(undefined))
    duplex.on("end", () => this.#end(undefined))
    duplex.on("close", () => this.#end(undefined))
    if (duplex.destroyed) queueMicrotask(() => this.#end(undefined))
    if (first !== undefined && first.length > 0) take(first)
    if (this.#borrow === undefined) duplex.on("data", take)
    else this.#borrow(take)
  }

  /** Room for the block that had to wait may be there now. */
  resume(): void {
    if (!this.#isWaiting || this.#isClosed) return
    this.#isWaiting = false
    this.#onOutcome(this.#parser.resume())
    if (!this.#isWaiting && !this.#isClosed) this.#duplex.resume()
  }

  /** The place of the block that is coming in is taken away. */
  discardBlock(): void {
    this.#parser.discardBlock()
  }

  /** Closes the connection, because of a fault or because it is not needed any more. */
  close(fault?: WireFault): void {
    if (fault === undefined) this.writer.flush()
    this.#end(fault)
  }

  #onOutcome(outcome: "wait" | WireFault | undefined): void {
    if (outcome === undefined || this.#isClosed) return
    if (outcome === "wait") {
      this.#isWaiting = true
      this.#duplex.pause()
    } else this.#end(outcome)
  }

  #end(fault: WireFault | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    // A clean end lets what was written go out; a fault is not answered.
    const duplex = this.#duplex
    if (fault === undefined && !duplex.destroyed) duplex.end(() => duplex.destroy())
    else duplex.destroy()
    this.#owner.onClosed(fault)
  }
}
