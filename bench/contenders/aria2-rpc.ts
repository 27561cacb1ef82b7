/**
 * One running aria2, driven over its JSON-RPC on a WebSocket.
 * @module
 */
import { randomBytes } from "node:crypto"
import { type AddressInfo, createServer } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { PeerProcess } from "../peer-process.ts"

const START_MS_MAX = 10_000
const POLL_MS = 10

const OPTIONS = [
  "--enable-rpc",
  "--rpc-listen-all=false",
  "--no-conf",
  "--quiet",
  "--enable-dht=false",
  "--enable-dht6=false",
  "--bt-enable-lpd=false",
  "--enable-peer-exchange=false",
  "--bt-max-peers=0",
  "--bt-tracker-interval=1",
  "--file-allocation=none",
  "--disk-cache=64M",
  "--seed-ratio=0.0",
]

type Answer = Readonly<Record<string, unknown>>

interface Waiter {
  resolve(answer: Answer): void
  reject(error: Error): void
}

/** A started aria2. Calls are answered in any order; a notification is waited for before its cause. */
export class Aria2 {
  readonly peer: PeerProcess
  readonly listenPort: number
  readonly #socket: WebSocket
  readonly #secret: string
  /** By request id, or by the name of a notification. */
  readonly #waiting = new Map<string, Waiter>()
  #lastId = 0

  private constructor(
    peer: PeerProcess,
    listenPort: number,
    line: { socket: WebSocket; secret: string },
  ) {
    this.peer = peer
    this.listenPort = listenPort
    this.#socket = line.socket
    this.#secret = line.secret
    line.socket.addEventListener("message", (event) => this.#onMessage(String(event.data)))
    line.socket.addEventListener("close", () => this.#onClose())
  }

  /** Starts one that keeps its files in `folder`, and waits until it answers. */
  static async start(program: string, folder: string, signal: AbortSignal): Promise<Aria2> {
    const [rpcPort, listenPort] = await Promise.all([freePort(), freePort()])
    const secret = randomBytes(16).toString("hex")
    const own = [
      `--dir=${folder}`,
      `--rpc-listen-port=${rpcPort}`,
      `--rpc-secret=${secret}`,
      `--listen-port=${listenPort}`,
    ]
    const peer = new PeerProcess("aria2", [program, ...OPTIONS, ...own], { signal })
    try {
      const socket = await openSocket(`ws://127.0.0.1:${rpcPort}/jsonrpc`)
      return new Aria2(peer, listenPort, { socket, secret })
    } catch (error) {
      await peer.stop()
      throw error
    }
  }

  async call(method: string, ...parameters: unknown[]): Promise<unknown> {
    const id = String(++this.#lastId)
    const answer = this.#wait(id)
    const params = [`token:${this.#secret}`, ...parameters]
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }))
    const { result, error } = await answer
    if (error !== undefined) throw new Error(`${this.peer.name}: ${JSON.stringify(error)}`)
    return result
  }

  /** Waits for a notification such as `aria2.onBtDownloadComplete`. */
  heard(notification: string): Promise<unknown> {
    return this.#wait(notification)
  }

  /** Waits until the transfer has a peer, or was so small that it is over already. */
  async connected(transfer: unknown): Promise<void> {
    for (;;) {
      const peers = (await this.call("aria2.getPeers", transfer)) as readonly unknown[]
      const state = (await this.call("aria2.tellStatus", transfer, ["seeder"])) as Answer
      if (peers.length > 0 || state.seeder === "true") return
      await sleep(POLL_MS)
    }
  }

  async stop(): Promise<void> {
    // It may be gone already, and it closes the line without an answer.
    if (this.#socket.readyState === WebSocket.OPEN) {
      await this.call("aria2.forceShutdown").catch(() => {})
    }
    await this.peer.stop()
  }

  #wait(key: string): Promise<Answer> {
    const answer = new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(key, { resolve, reject })
    })
    // Whoever waits may not have come to it yet when the process ends; it is told then.
    answer.catch(() => {})
    return answer
  }

  #onMessage(text: string): void {
    const message = JSON.parse(text) as Answer
    const key = String(message.id ?? message.method)
    this.#waiting.get(key)?.resolve(message)
    this.#waiting.delete(key)
  }

  #onClose(): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(`${this.peer.name} ended`))
    this.#waiting.clear()
  }
}

/** Connects as soon as the process listens. */
async function openSocket(url: string): Promise<WebSocket> {
  const endMs = performance.now() + START_MS_MAX
  for (;;) {
    const socket = new WebSocket(url)
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.addEventListener("open", () => resolve(true), { once: true })
      socket.addEventListener("error", () => resolve(false), { once: true })
    })
    if (isOpen) return socket
    if (performance.now() > endMs) throw new Error(`nothing listens at ${url}`)
    await sleep(POLL_MS)
  }
}

/** Gives a port that was free a moment ago; aria2 cannot pick one itself. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}
