/**
 * The port for standard BitTorrent clients: a plain TCP listener that is open only while it is told
 * to be, apart from the port of the fleet.
 * @module
 */
import { once } from "node:events"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { codeOf, messageOf } from "../../core/errors.ts"
import type { Logger } from "../../core/log.ts"
import { SwarmError } from "../errors.ts"

/** Connections that the system accepts at once; the swarm's own limits are far below. */
const CONNECTIONS_MAX = 512
const BACKLOG = 64

/** Where to listen. Without a host on all interfaces; port 0 picks a free one. */
export interface PublicAddress {
  readonly host?: string | undefined
  readonly port: number
}

export interface ListenerDeps {
  readonly log: Logger
  /** @param address - IP address and port of the client */
  readonly accept: (socket: Socket, address: string) => void
}

export class PublicListener {
  readonly #deps: ListenerDeps
  readonly #address: PublicAddress
  #server: Server | undefined
  #opening: Promise<void> | undefined

  constructor(deps: ListenerDeps, address: PublicAddress) {
    this.#deps = deps
    this.#address = address
  }

  /** The port that is listened on; undefined while it is closed. */
  get port(): number | undefined {
    const address = this.#server?.address() as AddressInfo | null | undefined
    return address?.port
  }

  /** Begins to listen unless it does. @throws SwarmError `PUBLIC_PORT_IN_USE` */
  open(): Promise<void> {
    if (this.#server !== undefined) return Promise.resolve()
    this.#opening ??= this.#listen().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  /** Stops listening; connections that are open are the swarm's to close. */
  close(): void {
    this.#server?.close()
    this.#server = undefined
  }

  async #listen(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => {
        // The wire learns of it by the stream's end.
      })
      const { remoteAddress, remotePort } = socket
      // It is gone already.
      if (remoteAddress === undefined) return socket.destroy()
      this.#deps.accept(socket, formatAddress(remoteAddress, remotePort!))
    })
    server.maxConnections = CONNECTIONS_MAX
    const { host, port } = this.#address
    try {
      server.listen({ port, backlog: BACKLOG, ...(host === undefined ? {} : { host }) })
      await once(server, "listening")
    } catch (cause) {
      const shown = `${host ?? "*"}:${port}`
      const reason = codeOf(cause) === "EADDRINUSE" ? "another program does" : messageOf(cause)
      const message = `cannot listen on ${shown} for BitTorrent clients: ${reason}; choose another port by --public-port (0 picks a free one)`
      throw new SwarmError("PUBLIC_PORT_IN_USE", message, { cause, details: { host, port } })
    }
    server.on("error", (error) => {
      this.#deps.log.warn({ error: messageOf(error) }, "the public port")
    })
    this.#server = server
  }
}

/** Writes an address; an IPv4 address that a dual-stack socket shows as IPv6 in its own form. */
export function formatAddress(host: string, port: number): string {
  const plain = host.replace(/^::ffff:(?=\d+\.)/i, "")
  return plain.includes(":") ? `[${plain}]:${port}` : `${plain}:${port}`
}
