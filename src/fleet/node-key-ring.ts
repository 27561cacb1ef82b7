/**
 * This node's own keys: `DATA/fleet/node-keys/COUNTER.key`, each a secret with the statement that was
 * signed for it (protocol/fleet.md §5, rotating a node key).
 * @module
 */
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { encodeBase64 } from "../core/byte-text.ts"
import { codeOf } from "../core/errors.ts"
import { asText, field } from "../core/json.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId } from "../net/net.ts"
import { type AgeIdentity, identityOf, newIdentity } from "../seal/age-key.ts"
import { base64Field, encodeDocument, parseDocument } from "../seal/document.ts"
import type { Signer } from "../trust/signing-key.ts"
import {
  invalidNodeKey,
  NODE_KEY_SKEW_MS,
  type NodeKey,
  parseNodeKey,
  signNodeKey,
} from "./node-key.ts"
import {
  eraseSecret,
  invalidSecret,
  makeSecretFolder,
  SECRET_BYTES_MAX,
  useSecret,
  writeNewSecret,
} from "./secret-file.ts"

/** How long a key of this node lives. */
export const NODE_KEY_LIFE_MS: number = 14 * 86_400_000
const FILE = /^(?<counter>[1-9]\d{0,15})\.key$/

/** A key of this node. */
export interface OwnKey {
  readonly identity: AgeIdentity
  readonly stated: NodeKey
}

/** Where the keys are, and whose they are. */
export interface RingOptions {
  /** `DATA/fleet/node-keys`. */
  readonly folder: string
  /** The fleet id. */
  readonly fleet: string
  readonly peer: PeerId
}

/** The keys of one node in one fleet. */
export class NodeKeyRing {
  readonly #signer: Signer
  readonly #log: Logger
  readonly #options: RingOptions
  /** Newest first. */
  #keys: readonly OwnKey[]
  #counterMax: number

  private constructor(
    deps: { signer: Signer; log: Logger },
    options: RingOptions,
    found: { keys: readonly OwnKey[]; counterMax: number },
  ) {
    this.#signer = deps.signer
    this.#log = deps.log
    this.#options = options
    this.#keys = sorted(found.keys)
    this.#counterMax = found.counterMax
  }

  /**
   * Reads what is kept. A file that is broken, or of another fleet, is left alone; its counter counts.
   * @throws Error a fault of the file system, with its code
   */
  static async open(
    deps: { signer: Signer; log: Logger },
    options: RingOptions,
  ): Promise<NodeKeyRing> {
    await makeSecretFolder(options.folder)
    const counters = (await readdir(options.folder)).flatMap((name) => {
      const counter = Number(FILE.exec(name)?.groups?.counter)
      return Number.isSafeInteger(counter) ? [counter] : []
    })
    const keys: OwnKey[] = []
    for (const counter of counters) {
      const key = await readKey(counter, options).catch((error: unknown) => {
        deps.log.warn({ counter, code: codeOf(error) }, "a node key that is kept cannot be used")
      })
      if (key !== undefined) keys.push(key)
    }
    return new NodeKeyRing(deps, options, { keys, counterMax: Math.max(0, ...counters) })
  }

  /** The newest key that can be used; it may have ended. */
  get newest(): OwnKey | undefined {
    return this.#keys[0]
  }

  /** The highest counter that a file here names, also one that cannot be used. */
  get counterMax(): number {
    return this.#counterMax
  }

  /** The secrets that have not been erased, newest first. */
  get identities(): readonly AgeIdentity[] {
    return this.#keys.map((key) => key.identity)
  }

  /**
   * Makes the next key; it is durable before anybody hears of it.
   * @param counterFloor - the highest counter that others know of: the new one is above
   * @throws FleetError `NODE_KEY_INVALID` when there is no higher counter
   */
  async make(counterFloor: number, nowMs: number): Promise<NodeKey> {
    const counter = Math.max(this.#counterMax, counterFloor) + 1
    if (!Number.isSafeInteger(counter)) throw invalidNodeKey("no counter is left")
    const { fleet, peer, folder } = this.#options
    const identity = await newIdentity()
    const life = { notBeforeMs: nowMs, notAfterMs: nowMs + NODE_KEY_LIFE_MS }
    const draft = { peer, counter, recipient: identity.recipient, ...life }
    const stated = await signNodeKey(draft, { fleet, signer: this.#signer })
    const bytes = encodeKey({ identity, stated })
    const isNew = await writeNewSecret(pathOf(folder, counter), bytes)
    this.#counterMax = counter
    // A file that came meanwhile, out of a copy: the next counter is free.
    if (!isNew) return await this.make(counterFloor, nowMs)
    this.#keys = sorted([...this.#keys, { identity, stated }])
    this.#log.info({ counter }, "made a node key")
    return stated
  }

  /**
   * Erases keys whose life is over, but never the newest.
   * @param rewrap - seals anew what is sealed to a key; one for which it fails stays until the next time
   * @returns how many were erased
   */
  async retire(
    nowMs: number,
    rewrap: (key: AgeIdentity, to: NodeKey) => Promise<void>,
  ): Promise<number> {
    const [newest, ...others] = this.#keys
    if (newest === undefined) return 0
    let erased = 0
    for (const key of others) {
      const { counter, notAfterMs } = key.stated
      // Somebody whose clock is behind may seal to it for a little longer.
      if (nowMs <= notAfterMs + NODE_KEY_SKEW_MS) continue
      try {
        await rewrap(key.identity, newest.stated)
      } catch (error) {
        this.#log.warn(
          { counter, code: codeOf(error) },
          "a node key is kept: not all was rewrapped",
        )
        continue
      }
      await eraseSecret(pathOf(this.#options.folder, counter))
      this.#keys = this.#keys.filter((one) => one !== key)
      erased++
    }
    return erased
  }
}

/**
 * Tells whether a key is the one to give out: it counts already, and is not past two thirds of its life.
 */
export function isFresh({ notBeforeMs, notAfterMs }: NodeKey, nowMs: number): boolean {
  const renewalMs = notBeforeMs + ((notAfterMs - notBeforeMs) * 2) / 3
  return nowMs >= notBeforeMs - NODE_KEY_SKEW_MS && nowMs < renewalMs
}

function encodeKey({ identity, stated }: OwnKey): Uint8Array {
  return encodeDocument({ secret: identity.secret, statement: encodeBase64(stated.statement) })
}

async function readKey(counter: number, options: RingOptions): Promise<OwnKey | undefined> {
  const path = pathOf(options.folder, counter)
  return await useSecret(path, (bytes) => parseKey(bytes, { ...options, counter, path }))
}

interface KeyPlace extends RingOptions {
  readonly counter: number
  readonly path: string
}

async function parseKey(
  bytes: Uint8Array,
  { counter, path, ...options }: KeyPlace,
): Promise<OwnKey> {
  const document = parseDocument(bytes, { bytesMax: SECRET_BYTES_MAX })
  const secret = asText(field(document ?? {}, "secret"))
  const statement = base64Field(document ?? {}, "statement")
  if (secret === undefined || statement === undefined)
    throw invalidSecret(path, "it is no node key")
  const identity = await identityOf(secret)
  const stated = parseNodeKey(statement, options)
  if (stated.recipient !== identity.recipient || stated.counter !== counter) {
    throw invalidSecret(path, "its statement is of another key")
  }
  return { identity, stated }
}

const sorted = (keys: readonly OwnKey[]): readonly OwnKey[] =>
  [...keys].sort((left, right) => right.stated.counter - left.stated.counter)

const pathOf = (folder: string, counter: number): string => join(folder, `${counter}.key`)
