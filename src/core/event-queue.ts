/**
 * What is due when, in order: for virtual time with many thousand events to come, where a heap of all of
 * them would miss the processor's caches at each of its levels.
 * @module
 */

/** Something that is due. */
export interface QueuedEvent {
  dueMs: number
  /** Among those that are due at the same moment: the lower one first. */
  order: number
}

/** Time is cut into slots of a sixteenth of a millisecond … */
const SLOTS_PER_MS = 16
/** … of which so many are kept apart, a quarter of a second; what comes later waits in a heap. */
const SLOTS = 4_096
const SLOT_MASK: number = SLOTS - 1

/** Sorts events into slots as they come, and only those of the slot that has come by time. */
export class EventQueue<E extends QueuedEvent> {
  readonly #slots: E[][] = Array.from({ length: SLOTS }, () => [])
  /** How many stand in the slots. */
  #nearCount = 0
  /** The slot whose time has come; it and all before it are in `#current`. */
  #slot = Number.NEGATIVE_INFINITY
  /** Heaps, the next one first. */
  #current: E[] = []
  readonly #far: E[] = []

  push(event: E): void {
    const slot = Math.floor(event.dueMs * SLOTS_PER_MS)
    if (slot <= this.#slot) pushTo(this.#current, event)
    else if (slot < this.#slot + SLOTS) {
      this.#slots[slot & SLOT_MASK]!.push(event)
      this.#nearCount++
    } else pushTo(this.#far, event)
  }

  /** Gives the next event, which stays. */
  peek(): E | undefined {
    while (this.#current.length === 0) {
      if (this.#nearCount > 0) this.#slot++
      else if (this.#far.length > 0) this.#slot = slotOf(this.#far[0]!)
      else return undefined
      this.#fillCurrent()
    }
    return this.#current[0]
  }

  /** Takes out the event that {@link peek} gave. */
  drop(): void {
    popFrom(this.#current)
  }

  #fillCurrent(): void {
    const place = this.#slot & SLOT_MASK
    const due = this.#slots[place]!
    if (due.length > 0) {
      this.#slots[place] = this.#current
      this.#current = due
      this.#nearCount -= due.length
      for (let at = (due.length >> 1) - 1; at >= 0; at--) sink(due, at, due[at]!)
    }
    while (this.#far.length > 0 && slotOf(this.#far[0]!) <= this.#slot) {
      pushTo(this.#current, popFrom(this.#far))
    }
  }
}

function slotOf(event: QueuedEvent): number {
  return Math.floor(event.dueMs * SLOTS_PER_MS)
}

function pushTo<E extends QueuedEvent>(heap: E[], event: E): void {
  let place = heap.push(event) - 1
  while (place > 0) {
    const parent = (place - 1) >> 1
    if (!isBefore(event, heap[parent]!)) break
    heap[place] = heap[parent]!
    place = parent
  }
  heap[place] = event
}

function popFrom<E extends QueuedEvent>(heap: E[]): E {
  const first = heap[0]!
  const last = heap.pop()!
  if (heap.length > 0) sink(heap, 0, last)
  return first
}

/** Puts an event at a place or, where those below come before it, below them. */
function sink<E extends QueuedEvent>(heap: E[], from: number, event: E): void {
  let place = from
  for (;;) {
    let child = 2 * place + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
    if (!isBefore(heap[child]!, event)) break
    heap[place] = heap[child]!
    place = child
  }
  heap[place] = event
}

function isBefore(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}
