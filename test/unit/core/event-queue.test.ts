/** Events come out of the queue by time, whatever order and distance they were put in with. */
import { expect, test } from "vitest"
import { EventQueue, type QueuedEvent } from "../../../src/core/event-queue.ts"
import { seededRandom } from "../swarm/seeded-random.ts"

test("gives what was put in by time, and by order at the same moment", () => {
  const random = seededRandom(1)
  const queue = new EventQueue<QueuedEvent>()
  const left: QueuedEvent[] = []
  let order = 0
  let nowMs = 0
  const put = () => {
    // Now, soon, in a quarter of a second, in a minute; moments in common.
    const delayMs = Math.floor(random() * 8) * [0, 0.01, 40, 10_000][Math.floor(random() * 4)]!
    const event = { dueMs: nowMs + delayMs, order: order++ }
    queue.push(event)
    left.push(event)
  }
  for (let step = 0; step < 20_000; step++) {
    if (step < 10_000 && (left.length === 0 || random() < 0.6)) put()
    const next = queue.peek()
    if (next === undefined || random() < 0.4) continue
    queue.drop()
    nowMs = next.dueMs
    const first = left.reduce((a, b) =>
      a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order) ? a : b,
    )
    expect(next).toBe(first)
    left.splice(left.indexOf(first), 1)
  }
  while (queue.peek() !== undefined) {
    left.splice(left.indexOf(queue.peek()!), 1)
    queue.drop()
  }
  expect(left).toEqual([])
})
