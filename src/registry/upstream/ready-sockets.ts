/**
 * Connections that stand before they are needed. Over a slow link that many share, the packets that
 * open a connection are dropped behind others' bulk and sent again after a second; so who is about to
 * ask for several blobs opens its connections with the first question, while the link is still free.
 * @module
 */
import type { Socket } from "node:net"
import type { buildConnector } from "undici"
import type { Clock } from "../../core/clock.ts"

/** A socket that nobody took in this time is closed; the other side would close it soon after. */
const KEPT_MS = 4_000
/** Places with sockets in waiting or in use. */
const PLACES_MAX = 64

type Connector = buildConnector.connector
type Options = buildConnector.Options
type Taker = buildConnector.Callback

/** One connection that was opened ahead. */
interface Waiting {
  /** Undefined until it stands. */
  socket: Socket | undefined
  /** Who took it before it stood. */
  taker: Taker | undefined
  end(): void
}

interface Place {
  readonly waiting: Waiting[]
  /** Connections that stand or are about to, those in use too. */
  openCount: number
}

/** Opens connections for an HTTP client, ahead of time where it is told to. */
export class ReadySockets {
  readonly #clock: Clock
  readonly #connect: Connector
  readonly #places = new Map<string, Place>()

  /** @param connect - opens one connection */
  constructor(deps: { clock: Clock }, connect: Connector) {
    this.#clock = deps.clock
    this.#connect = connect
  }

  /** Gives a connection, one in waiting if there is any. Bound, to be handed to the client. */
  readonly connect: Connector = (options: Options, callback: Taker): void => {
    const ready = this.#places.get(keyOf(options))?.waiting.shift()
    if (ready === undefined) this.#open(options, callback)
    else if (ready.socket === undefined) ready.taker = callback
    else {
      const socket = release(ready, ready.socket)
      // The client does not expect an answer while it still asks.
      setImmediate(() => {
        if (socket.destroyed) this.#open(options, callback)
        else callback(null, socket)
      })
    }
  }

  /** Opens connections until so many stand or are about to. Its faults are told to nobody. */
  prepare(url: URL, count: number): void {
    const { host, protocol, port } = url
    // As the client spells it: without the brackets of an IPv6 address.
    const hostname = url.hostname.replace(/^\[|\]$/g, "")
    const options = { host, hostname, protocol, port }
    const key = keyOf(options)
    if (!this.#places.has(key) && this.#places.size >= PLACES_MAX) return
    for (let open = this.#places.get(key)?.openCount ?? 0; open < count; open++) {
      this.#openAhead(options)
    }
  }

  /** Closes what nobody took. */
  close(): void {
    for (const { waiting } of [...this.#places.values()]) for (const one of [...waiting]) one.end()
  }

  #openAhead(options: Options): void {
    const place = this.#place(options)
    const leave = () => {
      const at = place.waiting.indexOf(one)
      if (at >= 0) place.waiting.splice(at, 1)
    }
    const cancel = this.#clock.after(KEPT_MS, () => one.end())
    const one: Waiting = {
      socket: undefined,
      taker: undefined,
      end: () => {
        cancel()
        leave()
        one.socket?.destroy()
      },
    }
    place.waiting.push(one)
    this.#open(options, (...[error, socket]) => {
      const { taker } = one
      if (taker !== undefined) {
        cancel()
        if (error === null) taker(null, socket)
        else taker(error, null)
        return
      }
      if (error !== null) {
        one.end()
        return
      }
      if (!place.waiting.includes(one)) {
        socket.destroy()
        return
      }
      one.socket = socket
      socket.unref()
      socket.once("close", one.end).once("error", one.end)
    })
  }

  #open(options: Options, callback: Taker): void {
    const place = this.#place(options)
    place.openCount++
    const closed = () => {
      place.openCount--
      if (place.openCount === 0) this.#places.delete(keyOf(options))
    }
    this.#connect(options, (...[error, socket]) => {
      if (error === null) {
        socket.once("close", closed)
        callback(null, socket)
      } else {
        closed()
        callback(error, null)
      }
    })
  }

  #place(options: Options): Place {
    const key = keyOf(options)
    const known = this.#places.get(key) ?? { waiting: [], openCount: 0 }
    this.#places.set(key, known)
    return known
  }
}

/** Makes a connection that stands its taker's. */
function release(ready: Waiting, socket: Socket): Socket {
  socket.off("close", ready.end).off("error", ready.end)
  ready.socket = undefined
  ready.end()
  return socket.ref()
}

function keyOf({ protocol, hostname, port }: Options): string {
  const standard = protocol === "https:" ? "443" : "80"
  return `${protocol}//${hostname}:${port === "" ? standard : port}`
}
