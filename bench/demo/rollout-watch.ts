/**
 * A rollout while it goes on: what `rollout status --follow` says, line by line.
 * @module
 */
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { RolloutAnswer } from "../../src/api/rollout-api.ts"
import type { NodeProcess } from "../node-process.ts"
import { begin } from "./command.ts"

/** A rollout that is followed. */
export interface RolloutWatch {
  /** Waits for the next report. @throws when there is none: the rollout is over */
  next(): Promise<RolloutAnswer>
  close(): Promise<void>
}

/** Begins to follow a rollout, on its controller. */
export function watchRollout(
  controller: NodeProcess,
  name: string,
  { signal }: { readonly signal: AbortSignal },
): RolloutWatch {
  const child = begin(controller, "rollout", "status", name, "--follow", "--json")
  const exited = once(child, "exit")
  const kill = () => void child.kill()
  signal.addEventListener("abort", kill, { once: true })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  return {
    async next() {
      const line = await lines.next()
      signal.throwIfAborted()
      if (line.done === true) throw new Error(`the rollout ${name} is over, or cannot be followed`)
      return JSON.parse(line.value) as RolloutAnswer
    },
    async close() {
      signal.removeEventListener("abort", kill)
      kill()
      await exited
    },
  }
}
