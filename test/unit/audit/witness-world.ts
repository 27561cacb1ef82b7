/** Logs in memory, and witnesses of them with true keys and files, which a test lets lie, hang or forget. */
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "vitest"
import { checkpointText, encodeCheckpoint, noteKeyId } from "../../../src/audit/checkpoint.ts"
import { cosign } from "../../../src/audit/cosignature.ts"
import { type CosignerDeps, LogCosigner } from "../../../src/audit/log-cosigner.ts"
import { LogWitness } from "../../../src/audit/log-witness.ts"
import { leafHash, treeRoot } from "../../../src/audit/merkle-tree.ts"
import { proveConsistency } from "../../../src/audit/tree-reader.ts"
import type { AskWitness, WitnessedLog } from "../../../src/audit/witness-asking.ts"
import { WitnessMemory } from "../../../src/audit/witness-memory.ts"
import {
  type CosignAnswer,
  type CosignRequest,
  encodeCosignAnswer,
  encodeCosignRequest,
  parseCosignAnswer,
  parseCosignRequest,
} from "../../../src/audit/witness-message.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { peerIdOf } from "../../../src/net/identity.ts"
import { rawOfPublicKey } from "../../../src/trust/public-key.ts"
import { createSigningKey, type SigningKey } from "../../../src/trust/signing-key.ts"
import { faultyMaxOf, thresholdMinOf, type WitnessList } from "../../../src/trust/witness-list.ts"

/** Where making a file durable costs nothing. */
const FOLDER = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()
export const START_MS = 1_800_000_000_000
export const MINUTE_MS = 60_000
export const never: { readonly signal: AbortSignal } = { signal: new AbortController().signal }
export const coded = (code: string): unknown => expect.objectContaining({ code })

/** A log whose entries a test writes; short enough for one tile. */
export class TestLog implements WitnessedLog {
  readonly origin: string
  readonly signing: SigningKey
  entries: readonly string[] = []
  checkpoint: Uint8Array = new Uint8Array()
  readonly #listeners = new Set<() => void>()

  constructor(origin: string, signing: SigningKey = createSigningKey()) {
    this.origin = origin
    this.signing = signing
  }

  get key(): SigningKey["publicKey"] {
    return this.signing.publicKey
  }

  /** Says that its entries are these. */
  async say(...entries: readonly string[]): Promise<this> {
    this.entries = entries
    this.checkpoint = await this.noteAt(entries.length)
    for (const listener of this.#listeners) listener()
    return this
  }

  async add(...entries: readonly string[]): Promise<this> {
    return await this.say(...this.entries, ...entries)
  }

  async noteAt(size: number, root: Uint8Array = this.rootAt(size)): Promise<Uint8Array> {
    const { origin, signing } = this
    const checkpoint = { origin, size, root }
    const signature = await signing.sign(checkpointText(checkpoint))
    const keyId = noteKeyId(origin, rawOfPublicKey(signing.publicKey))
    return encodeCheckpoint(checkpoint, [{ name: origin, keyId, signature }])
  }

  rootAt(size: number): Uint8Array {
    return treeRoot(this.#leaves().slice(0, size))
  }

  async proveGrowth(older: number, size: number): Promise<readonly Uint8Array[]> {
    const leaves = this.#leaves()
    const read = async ({ start, count }: { start: number; count: number }) =>
      leaves.slice(start, start + count)
    return await proveConsistency(read, { older, size })
  }

  /** What is asked of a witness that has cosigned a size. */
  async request(oldSize: number): Promise<CosignRequest> {
    const isSame = oldSize === 0 || oldSize === this.entries.length
    const proof = isSame ? [] : await this.proveGrowth(oldSize, this.entries.length)
    return { oldSize, proof, checkpoint: this.checkpoint }
  }

  onAppend(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #leaves(): readonly Uint8Array[] {
    return this.entries.map((entry) => leafHash(Buffer.from(entry)))
  }
}

/** A witness, and how it behaves. */
export interface TestWitness {
  readonly peer: string
  readonly signing: SigningKey
  readonly folder: string
  witness: LogWitness
  /** Answers in its place. */
  instead: ((request: CosignRequest) => Promise<CosignAnswer>) | undefined
  askedCount: number
}

/** Witnesses and logs; closing it removes all. */
export class WitnessWorld {
  readonly clock: VirtualClock = new VirtualClock(START_MS)
  readonly root: string = mkdtempSync(join(FOLDER, "sealift-witness-"))
  readonly logs: Map<string, TestLog> = new Map()
  readonly witnesses: TestWitness[] = []
  #cosigners: LogCosigner[] = []

  log(origin = "sealift.log/one"): TestLog {
    const log = new TestLog(origin)
    this.logs.set(origin, log)
    return log
  }

  async witness(): Promise<TestWitness> {
    const signing = createSigningKey()
    const peer = peerIdOf(rawOfPublicKey(createSigningKey().publicKey))
    const folder = join(this.root, `witness-${this.witnesses.length}`)
    const witness = await this.#open({ peer, signing, folder })
    const made = { peer, signing, folder, witness, instead: undefined, askedCount: 0 }
    this.witnesses.push(made)
    return made
  }

  async some(count: number): Promise<readonly TestWitness[]> {
    for (let index = 0; index < count; index++) await this.witness()
    return this.witnesses
  }

  /** The witness again, from what lies in its folder. */
  async restart(witness: TestWitness): Promise<void> {
    witness.witness = await this.#open(witness)
  }

  copy(witness: TestWitness): void {
    cpSync(witness.folder, `${witness.folder}-copy`, { recursive: true })
  }

  async restore(witness: TestWitness): Promise<void> {
    rmSync(witness.folder, { recursive: true, force: true })
    cpSync(`${witness.folder}-copy`, witness.folder, { recursive: true })
    await this.restart(witness)
  }

  list(threshold?: number): WitnessList {
    const { length } = this.witnesses
    return {
      ...{ fleet: "ab".repeat(32), version: 1, faultyMax: faultyMaxOf(length) },
      threshold: threshold ?? thresholdMinOf(length),
      witnesses: this.witnesses.map(({ peer, signing }) => ({ peer, key: signing.publicKey })),
    }
  }

  /** Asks by bytes, as over a network. */
  readonly ask: AskWitness = async (peer, request) => {
    const asked = this.witnesses.find((one) => one.peer === peer)!
    asked.askedCount++
    const body = parseCosignRequest(encodeCosignRequest(request))
    const answer = await (asked.instead?.(body) ?? asked.witness.cosign(body))
    return parseCosignAnswer(encodeCosignAnswer(answer))
  }

  async cosigner(
    log: WitnessedLog,
    options: Partial<CosignerDeps> & { readonly name?: string } = {},
  ): Promise<LogCosigner> {
    const { name = "checkpoint.cosigned", ...deps } = options
    const list = this.list()
    const cosigner = await LogCosigner.open(
      {
        ...{ log, ask: this.ask, clock: this.clock, logger: silentLogger },
        witnesses: () => list,
        ...deps,
      },
      join(this.root, "kept", name),
    )
    this.#cosigners.push(cosigner)
    return cosigner
  }

  /** Signs whatever it is shown. */
  lie(witness: TestWitness, atMs?: number): void {
    const { peer, signing } = witness
    witness.instead = async ({ checkpoint }) => {
      const text = checkpoint.subarray(0, Buffer.from(checkpoint).indexOf("\n\n") + 1)
      const nowMs = atMs ?? this.clock.now()
      return { kind: "cosigned", signature: await cosign(text, { peer, signer: signing, nowMs }) }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#cosigners.map((cosigner) => cosigner.stop()))
    rmSync(this.root, { recursive: true, force: true })
  }

  async #open({
    peer,
    signing,
    folder,
  }: Pick<TestWitness, "peer" | "signing" | "folder">): Promise<LogWitness> {
    return new LogWitness({
      peer,
      memory: await WitnessMemory.open(folder),
      signer: async () => signing,
      keyOf: (origin) => this.logs.get(origin)?.key,
      clock: this.clock,
      log: silentLogger,
    })
  }
}
