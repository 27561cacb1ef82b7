/**
 * Runs a simulated fan-out in a process of its own, at the reduced scale unless told.
 * @module
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import type { FanOutOutcome, FanOutPlan } from "./plan.ts"

/** `process.ts`, or what it was compiled to. */
const PROGRAM: string = fileURLToPath(
  new URL(import.meta.url.endsWith(".js") ? "./process.js" : "./process.ts", import.meta.url),
)
/** Ten thousand nodes take about a third of it. */
const HEAP_MIB_MAX = 12_000
/** What a node is alive with, and as much garbage: before that nothing old is collected. */
const HEAP_MIB_PER_NODE = 0.8
/** Much is young and short-lived: a larger place for it is cleared less often. */
const YOUNG_MIB = 64

/**
 * @param options.isFull - with real blocks, for some dozens of nodes
 * @throws Error when it failed: what it said stands on standard error; the signal's reason
 */
export async function simulate(
  plan: FanOutPlan,
  options: { signal?: AbortSignal; isQuiet?: boolean; isFull?: boolean } = {},
): Promise<FanOutOutcome> {
  const firstMib = Math.min(Math.ceil(plan.fetchers * HEAP_MIB_PER_NODE), HEAP_MIB_MAX)
  const heap = [
    ...[`--max-old-space-size=${HEAP_MIB_MAX}`, `--initial-heap-size=${firstMib}`],
    `--max-semi-space-size=${YOUNG_MIB}`,
    // Each buffer counts against a limit of its own otherwise, which asks for all of the old to be gone
    // through each three seconds: four fifths of the time of ten thousand nodes.
    "--external-memory-accounted-in-global-limit",
  ]
  const scale = options.isFull === true ? ["full"] : []
  const words = [...heap, PROGRAM, JSON.stringify(plan), ...scale]
  const child = spawn(process.execPath, words, {
    stdio: ["ignore", "pipe", options.isQuiet === true ? "ignore" : "inherit"],
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, "close")])
  if (code !== 0) throw new Error(`the simulation ended with ${code}`)
  return JSON.parse(said) as FanOutOutcome
}
