/**
 * The third act: a plan brings the sealed model and the image that serves it, first to one node, then to
 * the others. The first one fails its probe, so the others never get what does not work.
 * @module
 */
import { mkdir, readFile, realpath, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { ReleaseDetails } from "../../src/api/release-api.ts"
import type { PlanAnswer, RolloutAnswer } from "../../src/api/rollout-api.ts"
import { NodeProcess } from "../node-process.ts"
import { showBytes, showSeconds } from "../table.ts"
import { refusal, run } from "./command.ts"
import {
  CONTAINER,
  type ContainerPlace,
  openContainerPlace,
  whyNoContainers,
} from "./containers.ts"
import { ASSET, approve, type Fleet, PARTIES } from "./model.ts"
import { compare } from "./model-files.ts"
import { decisionsOf, proveEntry, verifyLog } from "./proof.ts"
import { type RolloutWatch, watchRollout } from "./rollout-watch.ts"
import type { WebImage } from "./web-image.ts"

const NAMES: readonly string[] = ["shop-1", "shop-2", "shop-3"]
const GROUP = "shop"
const WEB = "acme/web"
const ROLLOUT = "shop-model"
const SOAK = "1s"
const EXIT_REFUSED = 3
/** Filled in on each node. */
const NODE = "$\u007bnode}"
const DRIVER = "driver"
const WAVES = ["canary", "rest"] as const
const TIME_COLUMN = 8
const PHASE_COLUMN = 9
const WAVE_COLUMN = 48

type Phase = RolloutAnswer["phase"]

const PROBE = `import { existsSync } from "node:fs"
if (existsSync(process.argv[2])) process.exit(0)
process.stdout.write("the accelerator has no driver")
process.exit(1)
`

/** A node of the group, and what runs there. */
interface Shop {
  readonly node: NodeProcess
  /** Links of its rollouts, and its driver. */
  readonly folder: string
  /** Undefined: the image is activated by a link. */
  readonly container: ContainerPlace | undefined
}

interface Act extends Fleet {
  readonly web: WebImage
  readonly shops: readonly Shop[]
  readonly site: string
  readonly hasContainers: boolean
}

/** What was published, by its text. */
interface Refs {
  readonly modelRef: string
  readonly webRef: string
}

/** Plays it. @returns the nodes, which go on running */
export async function tellOfRollout(fleet: Fleet, web: WebImage): Promise<readonly NodeProcess[]> {
  const { story } = fleet
  story.title("Both in two waves: the sealed model, and the image that serves it")
  const act = await openAct(fleet, web)
  const refs = await publish(act)
  const [canary, ...rest] = await makePlan(act, refs)
  const last = rest.at(-1)!
  await story.step(`Stage ${refs.modelRef} on ${last.node.name}, which is in the second wave`, () =>
    run(last.node, "stage", refs.modelRef),
  )
  const watch = watchRollout(fleet.anchor, ROLLOUT, fleet)
  fleet.workspace.defer(() => watch.close())
  await startAndFail(act, watch, canary!)
  await refuseEarly(act, refs, last)
  await mendAndEnd(act, watch)
  await showWhatRuns(act, refs)
  await prove(act)
  return act.shops.map(({ node }) => node)
}

async function openAct(fleet: Fleet, web: WebImage): Promise<Act> {
  const { story, workspace } = fleet
  const site = await realpath(await workspace.folder("site"))
  const why = await whyNoContainers(workspace)
  const hasContainers = why === undefined
  const shops = await story.step(`Start three more nodes, the group ${GROUP}`, () =>
    allOf(NAMES.map((name) => joinShop(fleet, { name, site, hasContainers }))),
  )
  story.say(
    "each node's own configuration allows links below one folder, programs" +
      (hasContainers ? `, and the container ${CONTAINER}` : ""),
  )
  story.say(
    hasContainers
      ? "podman is here: it will really run the image, with a store for each node"
      : `${why}: the image is opened and linked to, and not run`,
  )
  return { ...fleet, web, shops, site, hasContainers }
}

/** Waits for each, whatever becomes of the others: no node may start unseen after one has failed. */
async function allOf<T>(works: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(works)
  return await Promise.all(works)
}

async function joinShop(
  { anchor, workspace, signal }: Fleet,
  { name, site, hasContainers }: { name: string } & Pick<Act, "site" | "hasContainers">,
): Promise<Shop> {
  const container = hasContainers ? await openContainerPlace(workspace, name) : undefined
  const allow = { files: [site], exec: "plan", containers: container?.allow ?? {} }
  const plan = { name, folder: workspace.root, peers: [], upstreams: {} }
  const node = await NodeProcess.start({ ...plan, config: { rollout: { allow } } }, { signal })
  workspace.defer(() => node.stop())
  await run(node, "fleet", "join", await run(anchor, "fleet", "invite", "--group", GROUP))
  const folder = join(site, node.peerId)
  await mkdir(folder)
  return { node, folder, container }
}

async function publish(act: Act): Promise<Refs> {
  const { story, anchor, model, web, workspace, hasContainers, site } = act
  const activation = join(workspace.root, "web.json")
  const image = hasContainers ? { podman: CONTAINER } : { files: join(site, NODE, "web") }
  await writeFile(activation, JSON.stringify(image))
  const refs = await story.step("Publish the model, sealed and held, and the image", async () => ({
    modelRef: await run(
      anchor,
      ...["publish", ASSET, model, "--seal", "--hold", "--audience", GROUP],
    ),
    webRef: await run(anchor, "publish", WEB, web.reference, "--activation", activation),
  }))
  const { modelRef, webRef } = refs
  story.say(`${modelRef}: nobody opens it before a plan says so`)
  story.say(`${webRef}: ${showBytes(web.image.sizeBytes)} from a registry, activated its own way`)
  await story.step("All three parties approve both", () =>
    Promise.all(
      PARTIES.map(async (party) => {
        for (const ref of [modelRef, webRef]) await approve(act, ref, party)
      }),
    ),
  )
  return refs
}

/** Makes the plan. @returns the nodes, in the order of their waves */
async function makePlan(act: Act, { modelRef, webRef }: Refs): Promise<readonly Shop[]> {
  const { story, anchor, workspace, site, shops } = act
  const [path, probe] = ["plan.json", "probe.mjs"].map((name) => join(workspace.root, name))
  await writeFile(probe!, PROBE)
  const plan = {
    rollout: ROLLOUT,
    releases: [modelRef, webRef],
    waves: [
      { name: WAVES[0], nodes: { group: GROUP, count: 1 }, soak: SOAK },
      { name: WAVES[1], nodes: { group: GROUP } },
    ],
    error: { threshold: "15%", action: "pause" },
    activate: { files: join(site, NODE, "model") },
    probe: {
      exec: [process.execPath, probe, join(site, NODE, DRIVER)],
      ...{ timeout: "20s", retries: 1, interval: "200ms" },
    },
  }
  await writeFile(path!, JSON.stringify(plan))
  const text = await story.step("Sign a plan: one node first, then the others", () =>
    run(anchor, "rollout", "create", path!, "--json"),
  )
  const { releases, waves } = JSON.parse(text) as PlanAnswer
  const inOrder = waves.map(({ nodes }) =>
    nodes.map((peer) => shops.find(({ node }) => node.peerId === peer)!),
  )
  story.say(`brings ${releases.map(({ ref }) => ref).join(", then ")}`)
  for (const [index, wave] of inOrder.entries()) {
    story.say(`wave ${waves[index]!.name}: ${wave.map(({ node }) => node.name).join(", ")}`)
  }
  return inOrder.flat()
}

async function startAndFail(act: Act, watch: RolloutWatch, canary: Shop): Promise<void> {
  const { story, anchor } = act
  await story.step("Start it", () => run(anchor, "rollout", "start", ROLLOUT))
  const { reason, waves } = await follow(act, watch, ["created", "paused"])
  const failed = waves[0]!.nodes.find(({ node }) => node === canary.node.peerId)
  story.say(`it paused by itself: ${reason}`)
  story.say(`${canary.node.name}: ${failed?.reason}`)
}

/** The ciphertext and all grants are there; what is missing is the gate's share. */
async function refuseEarly(act: Act, { modelRef }: Refs, { node }: Shop): Promise<void> {
  const { story, workspace } = act
  const out = join(workspace.root, "too-early")
  const { stagedBytes, sizeBytes, decision } = JSON.parse(
    await run(node, "inspect", modelRef, "--json"),
  ) as ReleaseDetails
  if (stagedBytes !== sizeBytes || decision !== "approved") throw new Error("it is not all there")
  const line = await story.step(`Meanwhile ${node.name} tries to open it before its wave`, () =>
    refusal(EXIT_REFUSED, node, "open", modelRef, "-o", out),
  )
  if (!line.includes("[GATE_REFUSED]")) throw new Error(`the gate did not refuse: ${line}`)
  story.say(`it has all ${showBytes(sizeBytes)} of the ciphertext, and every party's grant:`)
  story.say(line)
}

async function mendAndEnd(act: Act, watch: RolloutWatch): Promise<void> {
  const { story, anchor, shops } = act
  await story.step("Install the driver on every node; resume", async () => {
    for (const { folder } of shops) await writeFile(join(folder, DRIVER), "")
    await run(anchor, "rollout", "resume", ROLLOUT)
  })
  await follow(act, watch, ["paused", "completed"])
}

/**
 * Says what changes, from the moment on at which the rollout leaves a phase until it is in another one.
 * @throws when it ends up elsewhere
 */
async function follow(
  { story }: Act,
  watch: RolloutWatch,
  [before, after]: readonly [before: Phase, after: Phase],
): Promise<RolloutAnswer> {
  const startMs = performance.now()
  let report = await watch.next()
  while (report.phase === before) report = await watch.next()
  for (let shown = ""; ; report = await watch.next()) {
    const { phase, reason, waves } = report
    const text = [phase.padEnd(PHASE_COLUMN), ...waves.map(waveText)].join("  ")
    const time = showSeconds((performance.now() - startMs) / 1_000)
    if (text !== shown) story.say(`${`+${time}`.padStart(TIME_COLUMN)}  ${text}`.trimEnd())
    shown = text
    if (phase === after) return report
    if (phase !== "running") throw new Error(`the rollout is ${phase}: ${reason}`)
  }
}

function waveText({ name, size, isReleased, ...counts }: RolloutAnswer["waves"][number]): string {
  const { healthy, failed, pending } = counts
  const text = `${healthy} healthy, ${failed} failed, ${pending} pending of ${size}`
  return `${name}: ${isReleased ? text : "not released"}`.padEnd(WAVE_COLUMN)
}

async function showWhatRuns(act: Act, { modelRef, webRef }: Refs): Promise<void> {
  const { story, shops } = act
  const rows = await story.step("Look at what runs where", () =>
    Promise.all(shops.map((shop) => rowOf(act, shop))),
  )
  story.table(["node", modelRef, webRef], rows, ["left", "left", "left"])
}

async function rowOf({ model, web, signal }: Act, shop: Shop): Promise<readonly string[]> {
  const { node, folder, container } = shop
  const files = await compare(model, join(folder, "model"))
  const served = `${files} files, every byte the same`
  if (container !== undefined) {
    const answer = await container.ask(signal)
    if (answer !== web.answer) throw new Error(`the container of ${node.name} says ${answer}`)
    return [node.name, served, `its container answers "${answer}"`]
  }
  const index = await readFile(join(folder, "web", "index.json"), "utf8")
  if (!index.includes(web.image.digest)) throw new Error(`${node.name} has another image`)
  return [node.name, served, `linked to ${web.image.digest.slice(0, 19)}…`]
}

async function prove({ story, anchor }: Act): Promise<void> {
  const decisions = await story.step("Read in the anchor's log what was decided", () =>
    decisionsOf(anchor, `${ROLLOUT}@1`),
  )
  const rows = decisions.map(({ index, atMs, facts: { act, wave, reason } }) => {
    const which = wave === undefined ? "" : ` wave ${WAVES[Number(wave)]}`
    return [`${index}`, new Date(atMs).toISOString(), `${act}${which}`, `${reason}`]
  })
  story.table(["entry", "at", "decided", ""], rows, ["right", "left", "left", "left"])
  const last = decisions.at(-1)!
  if (last.facts.act !== "complete") throw new Error(`the last decision is ${last.facts.act}`)
  const [verdict, proof] = await story.step("Verify that log, and prove its last decision", () =>
    Promise.all([verifyLog(anchor), proveEntry(anchor, last.index)]),
  )
  story.say(`all ${verdict.size} entries are those that the anchor signed: root ${verdict.root}`)
  story.say(
    `entry ${proof.index} of ${proof.size} is in it by ${proof.hashes.length} hashes and one signature, ` +
      "checked here by the anchor's id alone",
  )
}
