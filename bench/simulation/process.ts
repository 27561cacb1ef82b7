/**
 * One simulated fan-out in a process of its own, at the reduced scale unless `full` is said:
 * `node process.ts PLAN [full]`, the plan as JSON; writes the outcome as JSON.
 * @module
 */
import type { FanOutPlan } from "./plan.ts"
import { reduceScale } from "./reduced-scale.ts"

const [text, scale] = process.argv.slice(2)
const plan = JSON.parse(text ?? "{}") as FanOutPlan
if (scale !== "full") reduceScale()
const { FanOut } = await import("./fan-out.ts")
const startedMs = performance.now()
const outcome = await new FanOut(plan).run({
  onSecond: (world) => {
    const { done, open } = world.progress
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0)
    const simulated = (world.clock.monotonicMs() / 1000).toFixed(0)
    process.stderr.write(`  ${simulated} s simulated in ${seconds} s: ${done} done, ${open} open\n`)
  },
})
process.stdout.write(`${JSON.stringify(outcome)}\n`)
