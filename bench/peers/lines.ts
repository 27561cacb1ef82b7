/**
 * The peer's end of `bench/peer-process.ts`: one JSON object per line on stdin and stdout.
 * @module
 */
import { createInterface } from "node:readline"

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

/** Says one message. */
export function say(message: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

/** Waits for one order; undefined when the other end is gone. */
export async function hear(): Promise<Record<string, unknown> | undefined> {
  const line = await lines.next()
  return line.done === true ? undefined : (JSON.parse(line.value) as Record<string, unknown>)
}
