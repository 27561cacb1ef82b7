/**
 * A web server that has the blob of a torrent (BEP 19), as a client on the wire: what is requested of
 * it is fetched by ranges, and checked like what anybody else gives.
 * @module
 */
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { get as getPlain, type IncomingMessage, Agent as PlainAgent } from "node:http"
import { get as getSecure, Agent as SecureAgent } from "node:https"
import { type Duplex, duplexPair } from "node:stream"
import { SwarmError, type WireFault } from "../errors.ts"
import type { Metainfo } from "../metainfo.ts"
import { encodeHandshake, type Handshake, MESSAGE, PIECE_HEAD_BYTES } from "../wire-messages.ts"
import { type WireOwner, WireSocket } from "../wire-socket.ts"
import { checkHost, lookupFor } from "./guarded-lookup.ts"

/** The only torrent of the connection. */
const TORRENT = 0
/** Ranges that are fetched at one time. */
const FETCHES_MAX = 2
/** Longest range of one request: neighbouring blocks are fetched together. */
const RANGE_BYTES_MAX = 1024 * 1024
/** A range has this time. */
const RANGE_MS_MAX = 30_000
/** Requests that wait; the fetching side never has as many. */
const REQUESTS_MAX = 8192

interface Block {
  readonly index: number
  readonly begin: number
  readonly length: number
}

export interface WebSeedOptions {
  readonly url: string
  readonly metainfo: Metainfo
  /** Whether it may stand in a private network. */
  readonly mayBePrivate: boolean
  /** It is over. @param reason - what went wrong, unless the other side closed */
  readonly onClosed: (reason: Error | undefined) => void
}

/** Makes the stream that leads to a web seed. */
export function openWebSeed(options: WebSeedOptions): Duplex {
  const [ours, theirs] = duplexPair()
  new WebSeed(theirs, options)
  return ours
}

/** Gives the URL of the blob: below a folder it has the torrent's name (BEP 19). */
export function webSeedUrl(url: string, metainfo: Metainfo): string {
  return url.endsWith("/") ? `${url}${metainfo.digest.slice("sha256:".length)}` : url
}

class WebSeed implements WireOwner {
  readonly #options: WebSeedOptions
  readonly #url: URL
  readonly #socket: WireSocket
  readonly #agent: PlainAgent
  readonly #queue: Block[] = []
  readonly #stopping = new AbortController()
  #fetchCount = 0
  #reason: Error | undefined

  constructor(duplex: Duplex, options: WebSeedOptions) {
    this.#options = options
    this.#url = new URL(webSeedUrl(options.url, options.metainfo))
    const isSecure = this.#url.protocol === "https:"
    const limits = { keepAlive: true, maxSockets: FETCHES_MAX }
    this.#agent = isSecure ? new SecureAgent(limits) : new PlainAgent(limits)
    this.#socket = new WireSocket({ duplex }, this, { hasContexts: false })
    this.#socket.start()
  }

  onHandshake({ infoHash }: Handshake): WireFault | undefined {
    const { writer } = this.#socket
    writer.raw(encodeHandshake(infoHash, randomBytes(20)))
    writer.signal(TORRENT, MESSAGE.haveAll)
    writer.signal(TORRENT, MESSAGE.unchoke)
    return undefined
  }

  onBlockMessage(id: number, index: number, begin: number, length: number): WireFault | undefined {
    if (id === MESSAGE.cancel) {
      const at = this.#queue.findIndex((block) => block.index === index && block.begin === begin)
      if (at >= 0) this.#queue.splice(at, 1)
      return undefined
    }
    if (id !== MESSAGE.request) return undefined
    if (this.#queue.length >= REQUESTS_MAX) return { code: "LIMIT_EXCEEDED", message: "requests" }
    this.#queue.push({ index, begin, length })
    // Those that come in the same turn are fetched together.
    queueMicrotask(() => this.#pump())
    return undefined
  }

  onClosed(): void {
    this.#stopping.abort()
    this.#agent.destroy()
    this.#options.onClosed(this.#reason)
  }

  // What the fetching side tells is of no use to a web server.

  onSignal(): undefined {}
  onHave(): undefined {}
  onSuggest(): undefined {}
  onBitfield(): undefined {}
  onExtended(): undefined {}
  onBlock(): undefined {}
  onBlockEnd(): undefined {}

  #pump(): void {
    while (this.#fetchCount < FETCHES_MAX && !this.#socket.isClosed) {
      const blocks = this.#takeNeighbours()
      if (blocks.length === 0) return
      this.#fetchCount++
      void this.#fetch(blocks)
    }
  }

  /** Takes the first block that waits, and those right behind it. */
  #takeNeighbours(): readonly Block[] {
    const blocks: Block[] = []
    let sizeBytes = 0
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const last = blocks.at(-1)
      const isNeighbour = last === undefined || this.#endOf(last) === this.#startOf(next)
      if (!isNeighbour || sizeBytes + next.length > RANGE_BYTES_MAX) break
      blocks.push(next)
      sizeBytes += next.length
      this.#queue.shift()
    }
    return blocks
  }

  #startOf({ index, begin }: Block): number {
    return index * this.#options.metainfo.layout.lengthBytes + begin
  }

  #endOf(block: Block): number {
    return this.#startOf(block) + block.length
  }

  async #fetch(blocks: readonly Block[]): Promise<void> {
    try {
      const start = this.#startOf(blocks[0]!)
      const bytes = await this.#range(start, this.#endOf(blocks.at(-1)!))
      for (const block of blocks) {
        const at = this.#startOf(block) - start
        this.#send(block, bytes.subarray(at, at + block.length))
      }
    } catch (error) {
      this.#reason ??= error instanceof Error ? error : new Error(String(error))
      this.#socket.close()
    } finally {
      this.#fetchCount--
      this.#pump()
    }
  }

  #send({ index, begin, length }: Block, bytes: Uint8Array): void {
    if (this.#socket.isClosed) return
    const message = Buffer.alloc(PIECE_HEAD_BYTES + length)
    message.writeUInt32BE(9 + length, 0)
    message[4] = MESSAGE.piece
    message.writeUInt32BE(index, 5)
    message.writeUInt32BE(begin, 9)
    message.set(bytes, PIECE_HEAD_BYTES)
    this.#socket.writer.blocks(TORRENT, message, () => {})
  }

  /** Fetches a range. @throws SwarmError `WEB_SEED_FAILED` for any other answer than these bytes */
  async #range(start: number, end: number): Promise<Uint8Array> {
    const { mayBePrivate } = this.#options
    checkHost(this.#url.hostname, mayBePrivate)
    const get = this.#url.protocol === "https:" ? getSecure : getPlain
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(RANGE_MS_MAX)])
    const asking = get(this.#url, {
      agent: this.#agent,
      lookup: lookupFor(mayBePrivate),
      signal,
      headers: { range: `bytes=${start}-${end - 1}`, "accept-encoding": "identity" },
    })
    const [answer] = (await once(asking, "response", { signal })) as [IncomingMessage]
    try {
      return await readRange(answer, { start, end })
    } catch (error) {
      answer.destroy()
      throw error
    }
  }
}

async function readRange(
  answer: IncomingMessage,
  { start, end }: { start: number; end: number },
): Promise<Uint8Array> {
  const told = `bytes ${start}-${end - 1}/`
  // A server that ignores ranges would send all of it for each of them.
  if (answer.statusCode !== 206 || answer.headers["content-range"]?.startsWith(told) !== true) {
    throw failed(`it answers ${answer.statusCode} to a range`)
  }
  const bytes = new Uint8Array(end - start)
  let at = 0
  for await (const part of answer as AsyncIterable<Uint8Array>) {
    if (at + part.length > bytes.length) throw failed("it sends more than the range")
    bytes.set(part, at)
    at += part.length
  }
  if (at < bytes.length) throw failed("it sends less than the range")
  return bytes
}

function failed(why: string): SwarmError {
  return new SwarmError("WEB_SEED_FAILED", `a web seed failed: ${why}`)
}
