/**
 * What one seed would have this node ask for next (BEP 6 `suggest`; protocol/wire-extension.md, Turns).
 * @module
 */

/** Suggestions of one source that are kept; an older one makes room. */
const SUGGESTIONS_KEPT_MAX = 16
/** A source that suggests nothing for this time has nothing more to suggest. */
const SILENT_MS = 300

export class Suggestions {
  #isActive = false
  #saidMs = 0
  readonly #indexes: number[] = []

  /** Whether the seed says what to take: then it is asked for that and nothing else. */
  get isActive(): boolean {
    return this.#isActive
  }

  get isEmpty(): boolean {
    return this.#indexes.length === 0
  }

  add(index: number, nowMs: number): void {
    this.#isActive = true
    this.#saidMs = nowMs
    if (this.#indexes.length >= SUGGESTIONS_KEPT_MAX) this.#indexes.shift()
    this.#indexes.push(index)
  }

  next(): number | undefined {
    return this.#indexes.shift()
  }

  tick(nowMs: number): void {
    if (this.#isActive && this.isEmpty && nowMs - this.#saidMs > SILENT_MS) this.#isActive = false
  }

  /** A choke takes them back. */
  end(): void {
    this.#isActive = false
    this.#indexes.length = 0
  }
}
