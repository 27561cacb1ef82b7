/**
 * The UDP socket under the mainline DHT's library, which trusts what comes: here a packet that it
 * stumbles over is dropped instead of ending the process, and nothing is sent into the own network at
 * a stranger's word.
 * @module
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram"
import { EventEmitter } from "node:events"
import { isIP } from "node:net"
import { messageOf } from "../../core/errors.ts"
import { isPublicAddress } from "../../net/public-address.ts"

/** Longest packet that is read: those of the DHT fit an Ethernet frame (BEP 5 has no longer ones). */
const PACKET_BYTES_MAX = 1500

export interface GuardedSocketOptions {
  readonly mayReach: (host: string) => boolean
  /** A packet from outside that the library failed at. */
  readonly onBadPacket: (reason: string) => void
}

/** What the library uses of a socket. */
export class GuardedSocket extends EventEmitter {
  readonly #socket: Socket
  readonly #options: GuardedSocketOptions

  constructor(options: GuardedSocketOptions) {
    super()
    this.#options = options
    this.#socket = createSocket("udp4")
    this.#socket.on("listening", () => this.emit("listening"))
    this.#socket.on("close", () => this.emit("close"))
    this.#socket.on("error", (error) => this.emit("error", error))
    this.#socket.on("message", (packet, from) => this.#onPacket(packet, from))
  }

  address(): ReturnType<Socket["address"]> {
    return this.#socket.address()
  }

  bind(...args: readonly unknown[]): void {
    this.#socket.bind(...(args as Parameters<Socket["bind"]>))
  }

  send(
    packet: Uint8Array,
    offset: number,
    length: number,
    port: number,
    host: string,
    done: (error?: Error | null) => void,
  ): void {
    const isPossible = Number.isInteger(port) && port > 0 && port < 65_536
    if (!isPossible || !this.#options.mayReach(host)) {
      queueMicrotask(() => done(new Error("not an address to send to")))
      return
    }
    this.#socket.send(packet, offset, length, port, host, done)
  }

  close(): void {
    this.#socket.close()
  }

  #onPacket(packet: Uint8Array, from: RemoteInfo): void {
    if (packet.length > PACKET_BYTES_MAX) return
    try {
      this.emit("message", packet, from)
    } catch (error) {
      this.#options.onBadPacket(messageOf(error))
    }
  }
}

/** Makes the rule of what may be reached: what the owner named, and the public Internet. */
export function reachRule(
  named: readonly { readonly host: string }[],
  reachesPrivate: boolean,
): (host: string) => boolean {
  const hosts = new Set(named.map(({ host }) => host))
  return (host) => reachesPrivate || hosts.has(host) || (isIP(host) !== 0 && isPublicAddress(host))
}
