/**
 * One port for libp2p and for data channels: the first byte of a socket decides
 * (protocol/data-channel.md).
 * @module
 */
import net from "node:net"
import type { Listener, Transport } from "@libp2p/interface"
import { type TCPComponents, type TCPOptions, tcp } from "@libp2p/tcp"
import type { Clock } from "../core/clock.ts"
import { assert } from "../core/errors.ts"
import { type Endpoint, plainHost } from "./address.ts"
import { OBSERVE_BYTE } from "./address-observer.ts"
import { WaitingRoom } from "./waiting-room.ts"

/** A TLS record of type handshake (RFC 8446 §5.1): no libp2p conversation begins with it. */
const TLS_HANDSHAKE_BYTE = 0x16
/** A socket that says nothing for this long is closed. */
const FIRST_BYTE_TIMEOUT_MS = 5_000
/** Sockets that may be silent at once; further ones are closed. */
const SILENT_SOCKETS_MAX = 256
/** Sockets on which libp2p has not found out yet who is there; it has this time for each. */
const UPGRADES_MAX = 64
const UPGRADE_MS_MAX = 6_000
/** Sockets of both kinds that one listener holds at once. */
const SOCKETS_PER_LISTENER_MAX = 1024
const KEEP_ALIVE_DELAY_MS = 30_000

const SOCKET_OPTIONS = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
}

const TCP_OPTIONS: TCPOptions = {
  maxConnections: SOCKETS_PER_LISTENER_MAX,
  listenOpts: SOCKET_OPTIONS,
  dialOpts: SOCKET_OPTIONS,
}

type Take = (socket: net.Socket) => void

/** Sorts new sockets by their first byte. */
export class SharedPort {
  readonly #clock: Clock
  readonly #isAllowed: (host: string) => boolean
  readonly #takeTls: Take
  readonly #takeObserved: Take | undefined
  readonly #silent = new WaitingRoom(SILENT_SOCKETS_MAX)
  readonly #upgrading = new WaitingRoom(UPGRADES_MAX)
  /** By the remote address: how each of those leaves the room. */
  readonly #upgrades = new Map<string, () => void>()
  readonly #tls = new Set<net.Socket>()
  #isClosed = false

  constructor(
    deps: { clock: Clock },
    options: {
      isAllowed: (host: string) => boolean
      takeTls: Take
      /** Takes sockets that want to be seen (protocol/nat.md); undefined on a node that is no relay. */
      takeObserved?: Take | undefined
    },
  ) {
    this.#clock = deps.clock
    this.#isAllowed = options.isAllowed
    this.#takeTls = options.takeTls
    this.#takeObserved = options.takeObserved
  }

  /** The TCP transport of libp2p, with this sorter before each of its listeners. */
  transport(): (components: TCPComponents) => Transport {
    return (components) => {
      const transport = tcp(TCP_OPTIONS)(components)
      const createListener = transport.createListener.bind(transport)
      transport.createListener = (options) => {
        const listener = createListener(options)
        this.standBefore(serverOf(listener))
        return listener
      }
      return transport
    }
  }

  /** Takes over a server's sockets and hands back those that are not TLS. */
  standBefore(server: net.Server): void {
    const [take, ...others] = server.listeners("connection")
    assert(take !== undefined && others.length === 0, "the TCP listener has one connection handler")
    server.removeAllListeners("connection")
    server.on("connection", (socket: net.Socket) =>
      this.#sort(socket, () => take.call(server, socket)),
    )
  }

  /** Sockets whose kind is not known yet. */
  get silentCount(): number {
    return this.#silent.size
  }

  /** Ends what libp2p does not know of: without this its listeners never finish closing. */
  close(): void {
    this.#isClosed = true
    this.#silent.endAll()
    for (const socket of this.#tls) socket.destroy()
  }

  #sort(socket: net.Socket, takeRest: () => void): void {
    const ignore = () => {}
    socket.on("error", ignore)
    const host = plainHost(socket.remoteAddress ?? "")
    const isWelcome = !this.#isClosed && this.#isAllowed(host)
    const leave = isWelcome ? this.#silent.enter(host, () => socket.destroy()) : undefined
    if (leave === undefined) {
      socket.destroy()
      return
    }
    const cancel = this.#clock.after(FIRST_BYTE_TIMEOUT_MS, () => socket.destroy())
    const settle = () => {
      cancel()
      leave()
      socket.off("readable", onReadable)
      socket.off("close", settle)
    }
    const onReadable = () => {
      const first: Buffer | null = socket.read()
      if (first === null) return
      settle()
      // Nothing is lost or copied: the bytes go back to the head of the socket's own buffer.
      socket.unshift(first)
      if (first[0] === TLS_HANDSHAKE_BYTE) return this.#keepTls(socket)
      socket.off("error", ignore)
      if (first[0] === OBSERVE_BYTE && this.#takeObserved !== undefined) this.#takeObserved(socket)
      else if (this.#beginUpgrade(socket, host)) takeRest()
      else socket.destroy()
    }
    socket.on("readable", onReadable)
    socket.on("close", settle)
  }

  /** libp2p knows who is at the other end of a socket now. */
  upgraded({ host, port }: Endpoint): void {
    this.#upgrades.get(keyOf(plainHost(host), port))?.()
  }

  #beginUpgrade(socket: net.Socket, host: string): boolean {
    const leave = this.#upgrading.enter(host, () => socket.destroy())
    if (leave === undefined) return false
    const key = keyOf(host, socket.remotePort ?? 0)
    const end = () => {
      cancel()
      leave()
      socket.off("close", end)
      if (this.#upgrades.get(key) === end) this.#upgrades.delete(key)
    }
    const cancel = this.#clock.after(UPGRADE_MS_MAX, end)
    socket.on("close", end)
    this.#upgrades.set(key, end)
    return true
  }

  #keepTls(socket: net.Socket): void {
    this.#tls.add(socket)
    socket.once("close", () => this.#tls.delete(socket))
    this.#takeTls(socket)
  }
}

const keyOf = (host: string, port: number): string => `${host} ${port}`

/**
 * The server inside a TCP listener. The package does not offer it; where it keeps it is checked here
 * and by test/unit/net/shared-port.test.ts, so that a new version fails loudly and not silently.
 */
function serverOf(listener: Listener): net.Server {
  const server: unknown = "server" in listener ? listener.server : undefined
  assert(server instanceof net.Server, "the TCP listener keeps its net.Server in `server`")
  return server
}
