/**
 * What rollouts are put through on a fleet: forward in waves, back from a bad version, cut short, below
 * the floor. Each act gives its figures and what should have held and did not.
 * @module
 */
import { readFile, readlink } from "node:fs/promises"
import { basename, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { PlanAnswer } from "../../src/api/rollout-api.ts"
import { type Evidence, evidenceOf } from "./evidence.ts"
import { eachAtOnce, type FleetNode, GROUP, type NodeLogs, type RolloutFleet } from "./fleet.ts"

const POLL_MS = 250
/** How long an act may stand still before it hangs. */
const ACT_MS_MAX = 180_000
/** Filled in on each node. */
const NODE = "$\u007bnode}"
const LINK = "current"
/** Every probe writes here what the link leads to, one line each. */
const SEEN = `${LINK}.seen`
const PROBE = `readlink "$1" >> "$1.seen" && test -s "$1/ok"`
/** How much of a release's digest is in the name of its folder. */
const DIGEST_DIGITS = 16
const WAVES = [
  { name: "canary", percent: 10, soakMs: 2_000 },
  { name: "some", percent: 40, soakMs: 2_000 },
  { name: "rest", percent: undefined, soakMs: 1_000 },
] as const

/** What an act shows. */
export interface Act {
  readonly notes: Readonly<Record<string, unknown>>
  readonly faults: readonly string[]
}

/** The acts of one fleet, in this order. */
export class RolloutStory {
  readonly #fleet: RolloutFleet
  readonly #payload: Uint8Array
  readonly #signal: AbortSignal
  #base = ""

  /** @param options.payload - content of each release beside its marks */
  constructor(
    fleet: RolloutFleet,
    options: { readonly payload: Uint8Array; readonly signal: AbortSignal },
  ) {
    this.#fleet = fleet
    this.#payload = options.payload
    this.#signal = options.signal
  }

  /** Two releases, of which the second requires the first, in three waves. */
  async forward(): Promise<Act & { readonly evidence: Evidence }> {
    const fleet = this.#fleet
    this.#base = await this.#publish("acme/base", { version: "base", isGood: true })
    const requires = ["--requires", this.#base]
    const model = await this.#publish("acme/model", { version: "1", isGood: true }, ...requires)
    const waves = WAVES.map(({ name, percent, soakMs }) => {
      const nodes = { group: GROUP, ...(percent !== undefined && { percent }) }
      return { name, nodes, soak: `${soakMs}ms` }
    })
    const plan = await fleet.plan(this.#planOf([this.#base, model], { waves }))
    await this.#untilStep("staged", plan)
    await fleet.act(plan.name, "start")
    const controller = await this.#untilComplete(plan)
    const nodes = await this.#untilStep("healthy", plan)
    const digests = plan.releases.map(({ digest }) => digest)
    const evidence = evidenceOf(
      {
        rollout: textOf(plan),
        digests,
        waves: plan.waves.map(({ nodes: peers }, wave) => {
          return { nodes: peers, soakMs: WAVES[wave]!.soakMs }
        }),
      },
      controller,
      nodes,
    )
    const wrong = await this.#wrongContents(digests, "1")
    return { evidence, notes: { ...evidence }, faults: [...evidence.faults, ...wrong] }
  }

  /** A version that no probe finds well runs on every node, and all go back while no party can sign. */
  async back(): Promise<Act> {
    const fleet = this.#fleet
    const before = await this.#links()
    const bad = await this.#publish("acme/model", { version: "2", isGood: false })
    const restore = await fleet.withoutParties()
    try {
      // It acts only once every node has failed: each of them has run the bad version.
      const error = { threshold: "100%", action: "abort+rollback" }
      const plan = await fleet.plan(this.#planOf([this.#base, bad], { error }))
      await this.#untilStep("staged", plan)
      await fleet.act(plan.name, "start")
      const logs = await this.#untilStep("went-back", plan)
      const failed = logs.map((log) => stepAtMs(log, plan, "failed"))
      const back = logs.map((log) => stepAtMs(log, plan, "went-back"))
      const seconds = (Math.max(...back) - Math.max(...failed)) / 1000
      const digest = plan.releases[1]!.digest
      const faults = [
        ...(await this.#missing(digest, "never ran the bad version")),
        ...differences(before, await this.#links(), "is not what it was before"),
      ]
      return { notes: { backSeconds: seconds }, faults }
    } finally {
      await restore()
    }
  }

  /** A rollout is aborted while its first wave stands: nothing changes anywhere. */
  async cancelled(): Promise<Act> {
    const fleet = this.#fleet
    const next = await this.#publish("acme/model", { version: "3", isGood: true })
    const waves = [
      { name: "canary", nodes: { group: GROUP, percent: 20 }, soak: "1h" },
      { name: "rest", nodes: { group: GROUP } },
    ]
    const plan = await fleet.plan(this.#planOf([this.#base, next], { waves }))
    await this.#untilStep("staged", plan)
    await fleet.act(plan.name, "start")
    await this.#untilStep("healthy", plan, plan.waves[0]!.nodes)
    const before = await this.#links()
    await fleet.act(plan.name, "abort")
    // All have heard of it, and whoever would have done something has done it.
    await this.#untilLogged("the abort", (log) => isDecided(log, plan, "abort"))
    await this.#untilStep("over", plan, plan.waves[1]!.nodes)
    await sleep(1_000, undefined, { signal: this.#signal })
    const faults = differences(before, await this.#links(), "was changed by an abort")
    const early = await eachAtOnce(this.#nodesOf(plan.waves[1]!.nodes), (node) => fleet.log(node))
    const opened = early.filter((log) =>
      log.events.some(({ event, facts }) => {
        return event === "release.opened" && facts.digest === plan.releases[1]!.digest
      }),
    )
    faults.push(...opened.map(({ peer }) => `${peer} opened before its wave`))
    return { notes: { changedByAbort: faults.length }, faults }
  }

  /** A newer release raises the floor: a plan that names what is below it changes nothing. */
  async belowFloor(): Promise<Act> {
    const fleet = this.#fleet
    await this.#publish("acme/model", { version: "4", isGood: true }, "--floor", "4")
    const before = await this.#links()
    const plan = await fleet.plan(this.#planOf([this.#base, "acme/model@1"], {}))
    await this.#untilStep("staged", plan)
    await fleet.act(plan.name, "start")
    const logs = await this.#untilStep("failed", plan)
    const faults = differences(before, await this.#links(), "runs what is below the floor")
    for (const log of logs) {
      const reason = log.events.findLast((one) => isStep(one, plan, "failed"))?.facts.reason
      if (!String(reason).includes("[BELOW_FLOOR]")) faults.push(`${log.peer} says: ${reason}`)
    }
    return { notes: { refusedBelowFloor: logs.length }, faults }
  }

  async #publish(
    name: string,
    { version, isGood }: { readonly version: string; readonly isGood: boolean },
    ...flags: readonly string[]
  ): Promise<string> {
    const files = { version, ok: isGood ? "ok" : "", payload: this.#payload }
    return await this.#fleet.publish(name, files, ...flags)
  }

  #planOf(releases: readonly string[], more: object): object {
    const path = join(this.#fleet.site, NODE, LINK)
    return {
      rollout: "model",
      releases,
      waves: [{ name: "all", nodes: { group: GROUP } }],
      // Every node counts: a wave stands when its slowest node does.
      success: { threshold: "100%" },
      error: { threshold: "100%", action: "pause" },
      reportDeadline: "120s",
      activate: { files: { path } },
      probe: {
        ...{ exec: ["/bin/sh", "-c", PROBE, "probe", path], timeout: "30s", retries: 0 },
        interval: "1s",
      },
      ...more,
    }
  }

  /** @returns the log of the controller, at the end of a rollout */
  async #untilComplete(plan: PlanAnswer): Promise<NodeLogs> {
    const [log] = await this.#untilLogged(
      "the end of the rollout",
      (one) => isDecided(one, plan, "complete"),
      [this.#fleet.anchor],
    )
    return log!
  }

  /** @returns the logs of those nodes */
  async #untilStep(
    step: string,
    plan: PlanAnswer,
    peers?: readonly string[],
  ): Promise<readonly NodeLogs[]> {
    const isThere = (log: NodeLogs) => log.events.some((one) => isStep(one, plan, step))
    return await this.#untilLogged(`step ${step}`, isThere, this.#nodesOf(peers))
  }

  /** A node that has it is asked no more: what is asked of it takes from what is measured. */
  async #untilLogged(
    what: string,
    isThere: (log: NodeLogs) => boolean,
    nodes: readonly FleetNode[] = this.#fleet.nodes,
  ): Promise<readonly NodeLogs[]> {
    const found = new Map<FleetNode, NodeLogs>()
    await this.#until(what, async () => {
      for (const node of nodes) {
        const log = found.get(node) ?? (await this.#fleet.log(node))
        if (!isThere(log)) return false
        found.set(node, log)
      }
      return true
    })
    return [...found.values()]
  }

  #nodesOf(peers: readonly string[] | undefined): readonly FleetNode[] {
    if (peers === undefined) return this.#fleet.nodes
    return this.#fleet.nodes.filter(({ process }) => peers.includes(process.peerId))
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const limit = AbortSignal.any([this.#signal, AbortSignal.timeout(ACT_MS_MAX)])
    while (!(await isSo())) {
      if (limit.aborted && !this.#signal.aborted) {
        const { phase, reason } = await this.#fleet.status("model")
        throw new Error(`${what} did not come about: the rollout is ${phase} (${reason})`)
      }
      await sleep(POLL_MS, undefined, { signal: this.#signal })
    }
  }

  /** What each node's link leads to, by peer id. */
  async #links(): Promise<ReadonlyMap<string, string>> {
    const links = await eachAtOnce(this.#fleet.nodes, async ({ process: { peerId } }) => {
      return [peerId, await readlink(join(this.#fleet.site, peerId, LINK))] as const
    })
    return new Map(links)
  }

  /** Nodes whose link does not lead to the last of some releases, or did not to each one before. */
  async #wrongContents(digests: readonly string[], version: string): Promise<string[]> {
    const faults = await eachAtOnce(this.#fleet.nodes, async ({ process: { peerId } }) => {
      const folder = join(this.#fleet.site, peerId)
      const seen = linesOf(await readFile(join(folder, SEEN), "utf8"))
      const isRight =
        seen.length === digests.length && digests.every((digest, at) => isOf(seen[at]!, digest))
      const runs = await readlink(join(folder, LINK))
      const content = await readFile(join(folder, LINK, "version"), "utf8")
      if (isRight && isOf(runs, digests.at(-1)!) && content === version) return []
      return [`${peerId} ran ${seen.map((path) => basename(path)).join(", ")}: ${content}`]
    })
    return faults.flat()
  }

  /** Nodes on which no probe ever saw a release. */
  async #missing(digest: string, words: string): Promise<string[]> {
    const faults = await eachAtOnce(this.#fleet.nodes, async ({ process: { peerId } }) => {
      const seen = linesOf(await readFile(join(this.#fleet.site, peerId, SEEN), "utf8"))
      return seen.some((path) => isOf(path, digest)) ? [] : [`${peerId} ${words}`]
    })
    return faults.flat()
  }
}

function textOf({ name, version }: PlanAnswer): string {
  return `${name}@${version}`
}

function isStep(
  { event, facts }: NodeLogs["events"][number],
  plan: PlanAnswer,
  step: string,
): boolean {
  return event === "rollout.stepped" && facts.rollout === textOf(plan) && facts.step === step
}

function isDecided({ events }: NodeLogs, plan: PlanAnswer, act: string): boolean {
  return events.some(({ event, facts }) => {
    return event === "rollout.decided" && facts.rollout === textOf(plan) && facts.act === act
  })
}

function stepAtMs({ events }: NodeLogs, plan: PlanAnswer, step: string): number {
  return events.find((one) => isStep(one, plan, step))?.atMs ?? Number.NaN
}

function isOf(path: string, digest: string): boolean {
  return basename(path).endsWith(digest.replace("sha256:", "").slice(0, DIGEST_DIGITS))
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "")
}

function differences(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
  words: string,
): string[] {
  return [...before].flatMap(([peer, path]) => (now.get(peer) === path ? [] : [`${peer} ${words}`]))
}
