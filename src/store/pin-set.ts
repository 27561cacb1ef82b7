/**
 * The named sets of digests that a sweep may not take, or only while enough others have them; and who
 * says what it takes last.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { GoesLast } from "./quota.ts"
import type { IsSpare, Pin } from "./store.ts"

/** What the pins say of one digest. */
interface Claim {
  /** Pins that keep it in any case. */
  firmCount: number
  /** The `minReplicas` of the others. */
  readonly replicas: number[]
}

/** Pins in memory; tells in O(1) whether a digest is in any of them. */
export class PinSet {
  readonly #pins = new Map<string, Pin>()
  readonly #claims = new Map<Digest, Claim>()
  /** Until somebody knows of other nodes, nothing is spare. */
  isSpare: IsSpare = () => false
  goesLast: GoesLast = () => false

  /** Sets a pin, in place of the one of the same name. */
  set(pin: Pin): void {
    this.delete(pin.name)
    const { name, minReplicas } = pin
    const digests = [...new Set(pin.digests)]
    this.#pins.set(
      name,
      minReplicas === undefined ? { name, digests } : { name, digests, minReplicas },
    )
    for (const digest of digests) {
      const claim = this.#claims.get(digest) ?? { firmCount: 0, replicas: [] }
      if (minReplicas === undefined) claim.firmCount++
      else claim.replicas.push(minReplicas)
      this.#claims.set(digest, claim)
    }
  }

  /** @returns whether there was such a pin */
  delete(name: string): boolean {
    const pin = this.#pins.get(name)
    if (pin === undefined) return false
    this.#pins.delete(name)
    for (const digest of pin.digests) {
      const claim = this.#claims.get(digest)!
      if (pin.minReplicas === undefined) claim.firmCount--
      else claim.replicas.splice(claim.replicas.indexOf(pin.minReplicas), 1)
      if (claim.firmCount === 0 && claim.replicas.length === 0) this.#claims.delete(digest)
    }
    return true
  }

  /** Whether any pin names a digest. */
  has(digest: Digest): boolean {
    return this.#claims.has(digest)
  }

  /** Whether a digest must stay here: a pin keeps it in any case, or too few others have it. */
  keeps(digest: Digest): boolean {
    const claim = this.#claims.get(digest)
    if (claim === undefined) return false
    return claim.firmCount > 0 || !this.isSpare(digest, Math.max(...claim.replicas))
  }

  list(): readonly Pin[] {
    return [...this.#pins.values()]
  }
}
