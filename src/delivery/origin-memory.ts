/**
 * What a node remembers for a short while of origins: which need credentials, what failed, and when
 * something last came.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { STALL_MS_MAX } from "../core/limits.ts"
import type { PeerId } from "../net/net.ts"
import type { OriginError } from "./errors.ts"
import type { OriginRef } from "./origin.ts"

const ACCESS_MS = 60_000
/** A fetcher does not ask its origin again for others within this time after a fault. */
const FAULT_MS = 2_000
const SILENT_MS = 60_000
const RANGELESS_MS = 600_000
/** Longer than anybody waits because of it. */
const GROWN_MS = 60_000
const ENTRIES_MAX = 1_024

/** A map whose entries are forgotten after a time, and the oldest when there are too many. */
class Recent<Value> {
  readonly #clock: Clock
  readonly #entries = new Map<string, { readonly value: Value; readonly untilMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.untilMs <= this.#clock.monotonicMs()) return undefined
    return entry.value
  }

  set(key: string, value: Value, keepMs: number): void {
    this.#entries.delete(key)
    this.#entries.set(key, { value, untilMs: this.#clock.monotonicMs() + keepMs })
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= ENTRIES_MAX) return
      this.#entries.delete(oldest)
    }
  }
}

/** One node's memory; shared by all its flights. */
export class OriginMemory {
  readonly #clock: Clock
  readonly #access: Recent<"public" | "private">
  readonly #faults: Recent<OriginError>
  readonly #silent: Recent<true>
  readonly #rangeless: Recent<true>
  readonly #grown: Recent<number>

  constructor(clock: Clock) {
    this.#clock = clock
    this.#access = new Recent(clock)
    this.#faults = new Recent(clock)
    this.#silent = new Recent(clock)
    this.#rangeless = new Recent(clock)
    this.#grown = new Recent(clock)
  }

  /** Tells whether the origin took credentials in that repository; undefined: not known. */
  access(ref: OriginRef): "public" | "private" | undefined {
    return this.#access.get(keyOf(ref))
  }

  noteAccess(ref: OriginRef, access: "public" | "private"): void {
    this.#access.set(keyOf(ref), access, ACCESS_MS)
  }

  fault(ref: OriginRef, digest: Digest): OriginError | undefined {
    return this.#faults.get(`${digest} ${keyOf(ref)}`)
  }

  noteFault(ref: OriginRef, digest: Digest, fault: OriginError): void {
    this.#faults.set(`${digest} ${keyOf(ref)}`, fault, FAULT_MS)
  }

  /** Tells whether the origin sent more than the part that it was asked for. */
  isRangeless(ref: OriginRef): boolean {
    return this.#rangeless.get(keyOf(ref)) === true
  }

  noteRangeless(ref: OriginRef): void {
    this.#rangeless.set(keyOf(ref), true, RANGELESS_MS)
  }

  /** Whether that registry's link is full, rather than the registry gone: blobs of it grow here. */
  isBusy(ref: OriginRef | undefined): boolean {
    return ref !== undefined && this.#clock.monotonicMs() - this.grewAtMs(ref) < STALL_MS_MAX
  }

  /**
   * Tells when a blob of that registry last grew here, from whatever source (monotonic): as long as some
   * do, the others wait for their turn on a full link rather than for a registry that is gone.
   */
  grewAtMs({ registry }: OriginRef): number {
    return this.#grown.get(registry) ?? Number.NEGATIVE_INFINITY
  }

  noteGrowth({ registry }: OriginRef): void {
    this.#grown.set(registry, this.#clock.monotonicMs(), GROWN_MS)
  }

  /** Tells whether a peer said that it does not speak the protocol of elections. */
  isSilent(peer: PeerId): boolean {
    return this.#silent.get(peer) === true
  }

  noteSilent(peer: PeerId): void {
    this.#silent.set(peer, true, SILENT_MS)
  }
}

function keyOf(ref: OriginRef): string {
  return `${ref.registry} ${ref.repository}`
}
