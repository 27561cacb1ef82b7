/**
 * A mesh of Sealift nodes on hosts of their own, in which nodes come, go and lie while others fetch.
 * @module
 */
import { cpSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import type { LabHost } from "../../test/support/network-lab.ts"
import { type PeerMessage, PeerProcess } from "../peer-process.ts"
import { removeFolder, verifyCopy, type Workload } from "../workload.ts"
import { sealiftPeer } from "./program.ts"
import { findBlob, type SealiftSeed } from "./sealift-seed.ts"

/**
 * What a hostile node does, which says that it has everything: sends wrong bytes; sends wrong bytes and
 * signs their digests; never sends what it is asked for; has nothing at all.
 */
export type RogueKind = "garbage" | "wrong-list" | "stall" | "false-have"

/** One node. */
export interface Member {
  readonly id: string
  readonly process: PeerProcess
  /** Its data directory. */
  readonly folder: string
  readonly address: string
}

/** What a fetcher tells when it has all. */
export interface Fetched {
  readonly seconds: number
  readonly wastedBytes: number
  /** The same by reason. */
  readonly wastedBy: Readonly<Record<string, number>>
  readonly bans: readonly { readonly id: string; readonly reason: string }[]
  /** Pieces that were refused, by sender. */
  readonly rejected: Readonly<Record<string, number>>
}

/** The nodes of one run; stopped and removed together. */
export class Mesh {
  readonly #workload: Workload
  readonly #seed: SealiftSeed
  readonly #folder: string
  readonly #signal: AbortSignal
  readonly #started: PeerProcess[] = []
  /** Addresses that a node is told which joins now. */
  readonly #known = new Set<string>()

  constructor(workload: Workload, options: { seed: SealiftSeed; signal: AbortSignal }) {
    this.#workload = workload
    this.#seed = options.seed
    this.#signal = options.signal
    this.#folder = join(workload.folder, "arrived")
    mkdirSync(this.#folder)
  }

  /** Starts the node that has the blob. */
  async startSeed(host: LabHost): Promise<Member> {
    const { folder } = this.#seed
    const member = await this.#start(host, { script: "sealift-seed", folder, words: [] })
    this.#known.add(member.address)
    return member
  }

  /** Starts a node that lies. */
  async startRogue(host: LabHost, kind: RogueKind): Promise<Member> {
    const folder = join(this.#folder, `rogue-${host.address}`)
    cpSync(this.#seed.bareFolder, folder, { recursive: true })
    const words = [kind, this.#workload.path]
    const member = await this.#start(host, { script: "sealift-rogue", folder, words })
    this.#known.add(member.address)
    return member
  }

  /** Starts a node that will fetch; nobody knows it yet. */
  async startFetcher(host: LabHost): Promise<Member> {
    const folder = join(this.#folder, `node-${host.address}`)
    mkdirSync(folder)
    return this.#start(host, { script: "sealift-leech", folder, words: [this.#seed.warmUp] })
  }

  /** Connects a fetcher with all that are there, and lets it fetch something small. */
  async join({ process, address }: Member): Promise<void> {
    process.tell({ addresses: [...this.#known] })
    this.#known.add(address)
    await process.next("connected")
  }

  /** Tells a fetcher to go, and waits until it has all. @param onPiece - told of each verified piece */
  async fetch({ process }: Member, onPiece?: (index: number) => void): Promise<Fetched> {
    process.tell({ isWatched: true })
    const done = await process.until("done", (message) => onPiece?.(pieceOf(message)))
    return done as unknown as Fetched
  }

  /** Ends a node at once. */
  async kill9({ process, address }: Member): Promise<void> {
    this.#known.delete(address)
    await process.kill9()
  }

  /** @throws Error when a fetcher's blob differs from what was sent */
  verify({ folder }: Member): void {
    verifyCopy(this.#workload, findBlob(join(folder, "blobs"), this.#workload))
  }

  startUsage(): void {
    for (const process of this.#started) process.startUsage()
  }

  async close(): Promise<void> {
    await Promise.all(this.#started.map((process) => process.stop()))
    removeFolder(this.#folder)
  }

  async #start(
    host: LabHost,
    { script, folder, words }: { script: string; folder: string; words: readonly string[] },
  ): Promise<Member> {
    const { namespace, address } = host
    const own = [folder, this.#workload.digest, address, ...words]
    const command = ["netns", "exec", namespace, ...sealiftPeer(script), ...own]
    const child = new PeerProcess(`${script} on ${address}`, ["ip", ...command], {
      signal: this.#signal,
    })
    this.#started.push(child)
    const ready = await child.next("ready")
    return { id: String(ready.id), process: child, folder, address: String(ready.address) }
  }
}

function pieceOf(message: PeerMessage): number {
  if (message.event !== "piece") throw new Error(JSON.stringify(message))
  return Number(message.index)
}
