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
/** Places with sockets in waiting. */
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

/** Opens connections for an HTTP client, ahead of time where it is told to. */
export class ReadySockets {
  readonly #clock: Clock
  readonly #connect: Connector
  readonly #waiting = new Map<string, Waiting[]>()

  /** @param connect - opens one connection */
  constructor(deps: { clock: Clock }, connect: Connector) {
    this.#clock = deps.clock
    this.#connect = connect
  }

  /** Gives a connection, one in waiting if there is any. Bound, to be handed to the client. */
  readonly connect: Connector = (options: Options, callback: Taker): void => {
    const ready = this.#take(keyOf(options))
    if (ready === undefined) this.#connect(options, callback)
    else if (ready.socket === undefined) ready.taker = callback
    else {
      const socket = release(ready, ready.socket)
      // The client does not expect an answer while it still asks.
      setImmediate(() => {
        if (socket.destroyed) this.#connect(options, callback)
        else callback(null, socket)
      })
    }
  }

  /** Opens connections until so many are in waiting. Its faults are told to nobody. */
  prepare(url: URL, count: number): void {
    const { host, protocol, port } = url
    // As the client spells it: without the brackets of an IPv6 address.
    const hostname = url.hostname.replace(/^\[|\]$/g, "")
    const options = { host, hostname, protocol, port }
    const key = keyOf(options)
    const waiting = this.#waiting.get(key) ?? []
    if (waiting.length === 0 && this.#waiting.size >= PLACES_MAX) return
    this.#waiting.set(key, waiting)
    while (waiting.length < count) waiting.push(this.#openAhead(key, options))
  }

  /** Closes what nobody took. */
  close(): void {
    for (const waiting of [...this.#waiting.values()]) for (const one of [...waiting]) one.end()
  }

  #take(key: string): Waiting | undefined {
    const one = this.#waiting.get(key)?.[0]
    if (one !== undefined) this.#leave(key, one)
    return one
  }

  #leave(key: string, one: Waiting): void {
    const waiting = this.#waiting.get(key) ?? []
    const at = waiting.indexOf(one)
    if (at < 0) return
    waiting.splice(at, 1)
    if (waiting.length === 0) this.#waiting.delete(key)
  }

  #openAhead(key: string, options: Options): Waiting {
    const cancel = this.#clock.after(KEPT_MS, () => one.end())
    const one: Waiting = {
      socket: undefined,
      taker: undefined,
      end: () => {
        cancel()
        this.#leave(key, one)
        one.socket?.destroy()
      },
    }
    this.#connect(options, (...[error, socket]) => {
      const { taker } = one
      if (taker !== undefined) {
        cancel()
        if (error === null) taker(null, socket)
        else taker(error, null)
      } else if (error !== null) one.end()
      else if (this.#waiting.get(key)?.includes(one) !== true) socket.destroy()
      else {
        one.socket = socket.unref()
        socket.once("close", one.end).once("error", one.end)
      }
    })
    return one
  }
}

/** Makes a connection that stands its taker's. */
function release(ready: Waiting, socket: Socket): Socket {
  socket.off("close", ready.end).off("error", ready.end)
  ready.socket = undefined
  ready.end()
  return socket.ref()
}

const keyOf = ({ protocol, hostname, port }: Options): string => `${protocol}//${hostname}:${port}`
