/**
 * Connections from this node to the clients of one torrent: which addresses, how many at a time, and
 * when one that failed is tried again.
 * @module
 */
import { connect, isIP, type Socket } from "node:net"
import type { Clock } from "../../core/clock.ts"
import { createBorrowedRead } from "../../net/borrowed-read.ts"
import { isPublicAddress } from "../../net/public-address.ts"
import type { WireStream } from "../wire-socket.ts"
import { type Lookup, lookupFor } from "./guarded-lookup.ts"
import { formatAddress } from "./public-listener.ts"
import type { PeerAddress } from "./torrent-link.ts"

/** Addresses that are remembered of one torrent. */
const ADDRESSES_MAX = 256
/** Connections of one torrent that this node opened, those being opened included. */
const CONNECTIONS_MAX = 16
/** Connections that are being opened at one time. */
const DIALS_MAX = 8
const DIAL_MS_MAX = 5_000
/** An address that failed is tried again after this time, doubled each time up to the second one. */
const RETRY_MS = 2_000
const RETRY_MS_MAX = 300_000

/** How an address was learned: by the user's own word, or by a stranger's. */
export type AddressOrigin = "given" | "found"

export interface OutreachDeps {
  readonly clock: Clock
  /** Whether strangers may name addresses of this machine and of private networks. */
  readonly reachesPrivate: boolean
  /** @param address - `HOST:PORT`, numeric */
  readonly connected: (stream: WireStream, address: string) => void
}

interface Target {
  readonly address: PeerAddress
  /** Named by the user: never forgotten. */
  readonly isGiven: boolean
  /** For a host that is a name. */
  lookup: Lookup
  isBusy: boolean
  failures: number
  dueMs: number
}

export class Outreach {
  readonly #deps: OutreachDeps
  readonly #targets = new Map<string, Target>()
  readonly #sockets = new Set<Socket>()
  #dialCount = 0
  #isStopped = false

  constructor(deps: OutreachDeps) {
    this.#deps = deps
  }

  /** Remembers an address, and connects to it when there is room. */
  add(address: PeerAddress, origin: AddressOrigin): void {
    const key = formatAddress(address.host, address.port)
    const mayBePrivate = origin === "given" || this.#deps.reachesPrivate
    const known = this.#targets.get(key)
    if (known !== undefined && mayBePrivate) known.lookup = lookupFor(true)
    if (this.#isStopped || known !== undefined) return
    // What a stranger says must not make this node knock at doors inside its own network.
    if (!mayBePrivate && isIP(address.host) !== 0 && !isPublicAddress(address.host)) return
    if (this.#targets.size >= ADDRESSES_MAX && !this.#forgetOne()) return
    const lookup = lookupFor(mayBePrivate)
    const isGiven = origin === "given"
    this.#targets.set(key, { address, isGiven, lookup, isBusy: false, failures: 0, dueMs: 0 })
    this.tick()
  }

  /** One client that names many addresses where nobody is must not keep out those where somebody is. */
  #forgetOne(): boolean {
    let worst: string | undefined
    let failures = 0
    for (const [key, target] of this.#targets) {
      if (target.isGiven || target.isBusy || target.failures <= failures) continue
      worst = key
      failures = target.failures
    }
    return worst !== undefined && this.#targets.delete(worst)
  }

  tick(): void {
    const nowMs = this.#deps.clock.monotonicMs()
    for (const target of this.#targets.values()) {
      if (this.#sockets.size >= CONNECTIONS_MAX || this.#dialCount >= DIALS_MAX) return
      if (!target.isBusy && target.dueMs <= nowMs) this.#dial(target)
    }
  }

  stop(): void {
    this.#isStopped = true
    for (const socket of this.#sockets) socket.destroy()
  }

  #dial(target: Target): void {
    const { lookup } = target
    const { host, port } = target.address
    const { onread, borrow } = createBorrowedRead((): Socket => socket)
    const socket = connect({ host, port, lookup, noDelay: true, timeout: DIAL_MS_MAX, onread })
    target.isBusy = true
    this.#dialCount++
    this.#sockets.add(socket)
    let isConnected = false
    socket.once("timeout", () => socket.destroy())
    socket.on("error", () => {
      // What became of it is told by its close.
    })
    socket.once("connect", () => {
      isConnected = true
      this.#dialCount--
      socket.setTimeout(0)
      socket.removeAllListeners("timeout")
      const { remoteAddress, remotePort } = socket
      if (this.#isStopped || remoteAddress === undefined) socket.destroy()
      else {
        this.#deps.connected({ duplex: socket, borrow }, formatAddress(remoteAddress, remotePort!))
      }
    })
    socket.once("close", () => {
      if (!isConnected) this.#dialCount--
      this.#sockets.delete(socket)
      target.isBusy = false
      target.failures++
      const waitMs = Math.min(RETRY_MS * 2 ** (target.failures - 1), RETRY_MS_MAX)
      target.dueMs = this.#deps.clock.monotonicMs() + waitMs
    })
  }
}
