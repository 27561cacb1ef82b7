/**
 * A fleet of two real nodes whose rollouts are told while one of them, or both at one moment, die by
 * SIGKILL at a step that was just written, and come back from what is left, or from a copy of some steps
 * before. What is made to run leaves a line outside of what nodes keep.
 * @module
 */
import { createHash } from "node:crypto"
import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { expect } from "vitest"
import { type ControlClient, connectToNode } from "../../src/cli/control-client.ts"
import type { ActKind } from "../../src/rollout/decision.ts"
import type { Step } from "../../src/rollout/node-machine.ts"
import type { RolloutPhase } from "../../src/rollout/rollout-view.ts"
import { type KeptRollout, plansOf, readKept, watchKept } from "./kept-rollout.ts"
import { pollUntil } from "./process.ts"
import { done, ReleaseFleet } from "./release-fleet.ts"
import { type SealiftNode, startNode } from "./sealift-node.ts"
import type { Workspace } from "./workspace.ts"

const PARTIES = ["owner", "safety"] as const
const WEIGHTS = "weights.bin"
/** One of each release: of three there is one that neither of two nodes runs. */
const CONTENTS = ["one", "two", "three"] as const
/** Filled in on each node. */
const NODE = "$\u007bnode}"
const STORY_MS = 60_000
const ASK_MS = 15_000

/** The node of the first wave, and the controller, which is the second wave. */
export type Who = "edge" | "anchor"

/** What a node keeps, and how often its program has run in this story. */
export interface Place extends KeptRollout {
  readonly runs: number
}

/** A rollout, and what befalls one of its nodes. */
export interface Story {
  readonly activate: "program" | "link"
  /** How it ends: all healthy, all back again, or before anything was released. */
  readonly end: "healthy" | "back" | "over"
  /** A channel on which nothing has run yet: there is nothing to go back to. */
  readonly isFresh?: boolean
  /** The edge fails its probe until the rollout is paused. */
  readonly isIll?: boolean
  /** Who dies; the edge unless told. */
  readonly who?: Who | "both"
  /** Of both, whose disk says when; the edge's unless told. */
  readonly watched?: Who
  /** Of both, who comes back first; the edge unless told. */
  readonly first?: Who
  /** When; never unless told. */
  readonly dies?: (place: Place) => boolean
  /** What it comes back from is as it was then. */
  readonly copied?: (place: Place) => boolean
  /** From then on its program does not end before its death. */
  readonly held?: "ahead" | "back"
}

/** How it went. */
export interface Told {
  /** What was on the disk when the node was dead; undefined: it did not die. */
  readonly death: Place | undefined
  /** What the others had on theirs, who died with it. */
  readonly others: readonly Place[]
  /** What was on the disk when it was copied. */
  readonly copy: Place | undefined
  /** What became of both in the end. */
  readonly steps: Readonly<Record<Who, Step | undefined>>
  /** How often the program of a node ran for a release, in each attempt. */
  readonly runs: Readonly<Record<Who, { readonly ahead: readonly number[]; readonly back: number }>>
  /** What runs in the end: the digest of it is that of what was published. */
  readonly running: Readonly<Record<Who, "new" | "old" | "nothing">>
  readonly decided: KeptRollout["decided"]
}

/** A release, and the SHA-256 of its content in hex. */
interface Published {
  readonly ref: string
  readonly digest: string
}

/** A line that a program has left. */
interface Line {
  readonly atMs: number
  readonly node: string
  readonly release: string
  readonly digest: string
}

const PHASES: Readonly<Record<ActKind, RolloutPhase>> = {
  start: "running",
  release: "running",
  pause: "paused",
  resume: "running",
  abort: "aborted",
  rollback: "aborted",
  complete: "completed",
}

export class MortalRollouts {
  readonly #fleet: ReleaseFleet
  readonly #workspace: Workspace
  readonly #site: string
  readonly #releases: Published[] = []
  #edge: SealiftNode
  #told = 0

  static async found(workspace: Workspace): Promise<MortalRollouts> {
    const fleet = await ReleaseFleet.found(workspace, { parties: PARTIES })
    const edge = await fleet.join("edge", "--group", "edge")
    await done(fleet.anchor.sealift("fleet", "group", "add", "edge", fleet.anchor.peerId))
    const rollouts = new MortalRollouts(fleet, edge, await workspace.folder("site"))
    await rollouts.#prepare()
    return rollouts
  }

  private constructor(fleet: ReleaseFleet, edge: SealiftNode, site: string) {
    this.#fleet = fleet
    this.#workspace = fleet.workspace
    this.#edge = edge
    this.#site = site
  }

  /** Two releases, programs that activate and probe, and what runs before the first story. */
  async #prepare(): Promise<void> {
    for (const content of CONTENTS) {
      const folder = await this.#workspace.folder("model")
      await writeFile(join(folder, WEIGHTS), content)
      const { anchor } = this.#fleet
      const flags = ["--seal", "--hold", "--audience", "edge"]
      const ref = await done(anchor.sealift("publish", "acme/model", folder, ...flags))
      await this.#fleet.approve(anchor, ref, PARTIES)
      this.#releases.push({ ref, digest: digestOf(content) })
    }
    await writeFile(this.#path("lines"), "")
    await writeFile(this.#path("activate"), activateScript(this.#site), { mode: 0o755 })
    await writeFile(this.#path("probe"), probeScript(this.#site), { mode: 0o755 })
  }

  /** Tells a story to its end. */
  async tell(story: Story): Promise<Told> {
    const told = await new Telling(this.#scene(story), story).tell()
    const isUnknown = Object.values(told.steps).includes("stranded")
    // Where nobody knows what runs, something that is known shall run before the next story.
    if (isUnknown && story.isFresh !== true) {
      await this.tell({ activate: story.activate, end: "healthy" })
    }
    return told
  }

  #path(name: string): string {
    return join(this.#site, name)
  }

  #scene(story: Story): StoryScene {
    const told = this.#told++
    const name = story.isFresh === true ? `${story.activate}-${told}` : story.activate
    return {
      ...{ site: this.#site, name, releases: this.#releases },
      node: (who) => (who === "edge" ? this.#edge : this.#fleet.anchor),
      begin: async (who) => {
        const other = who === "edge" ? this.#fleet.anchor : this.#edge
        // Nobody is waited for who is not there.
        const peers = other.program.isRunning() ? other.p2p : []
        const node = await startNode(this.#workspace, { name: who, peers })
        if (who === "edge") this.#edge = node
        else this.#fleet.anchor = node
      },
    }
  }
}

interface StoryScene {
  readonly site: string
  /** Of the rollout and its channel. */
  readonly name: string
  readonly releases: readonly Published[]
  node(who: Who): SealiftNode
  begin(who: Who): Promise<void>
}

/** One story. */
class Telling {
  readonly #scene: StoryScene
  readonly #story: Story
  readonly #older: Readonly<Record<Who, ReadonlySet<string>>>
  readonly #linesBefore: number
  /** What goes out, and what ran before. */
  readonly #release: Published
  readonly #before: Readonly<Record<Who, Published | undefined>>
  #killed: Promise<unknown> | undefined
  #death: Place | undefined
  #others: readonly Place[] = []
  #copy: Place | undefined

  constructor(scene: StoryScene, story: Story) {
    this.#scene = scene
    this.#story = story
    const { releases, node } = scene
    this.#older = { edge: plansOf(node("edge").data), anchor: plansOf(node("anchor").data) }
    this.#linesBefore = this.#lines().length
    const before = { edge: this.#running("edge"), anchor: this.#running("anchor") }
    this.#before = before
    this.#release = releases.find((one) => !Object.values(before).includes(one))!
  }

  async tell(): Promise<Told> {
    const { site, node } = this.#scene
    const { held, isIll } = this.#story
    const who = this.#who
    if (held === "ahead") writeFileSync(this.#hold(), "")
    if (isIll === true) writeFileSync(this.#illness(), "")
    const watching = { older: this.#older[who], others: [site] }
    const forget = watchKept(node(who).data, watching, () => this.#look())
    try {
      await this.#create()
      if (!(await pollUntil(() => this.#goOn(), STORY_MS))) {
        throw new Error(`it came to no end: ${JSON.stringify(this.#places())}`)
      }
    } finally {
      forget()
      rmSync(this.#hold(), { force: true })
      rmSync(this.#illness(), { force: true })
    }
    return this.#outcome()
  }

  /** Who is watched, and dies. */
  get #who(): Who {
    const { who = "edge", watched = "edge" } = this.#story
    return who === "both" ? watched : who
  }

  /** All who die with it, in the order in which they come back. */
  get #mortals(): readonly Who[] {
    const { who, first } = this.#story
    if (who !== "both") return [this.#who]
    return first === "anchor" ? ["anchor", "edge"] : ["edge", "anchor"]
  }

  /** Whatever has to be looked at while the node runs; it is dead before it can do more. */
  #look(): void {
    if (this.#killed !== undefined) return
    const { dies, copied } = this.#story
    const who = this.#who
    const place = this.#place(who)
    const { program, data } = this.#scene.node(who)
    if (copied !== undefined && this.#copy === undefined && copied(place)) {
      process.kill(program.pid, "SIGSTOP")
      this.#copy = this.#place(who)
      cpSync(data, copyOf(data), { recursive: true, filter: (path) => !path.endsWith(".sock") })
      process.kill(program.pid, "SIGCONT")
    }
    const isCopied = copied === undefined || this.#copy !== undefined
    if (!isCopied || dies?.(place) !== true) return
    this.#killed = Promise.all(this.#mortals.map((one) => this.#scene.node(one).kill9()))
  }

  /** A desk that was started a moment ago signs once it has compared with the other node. */
  async #create(): Promise<void> {
    let fault: unknown
    const isMade = await pollUntil(async () => {
      try {
        await this.#ask("/v1/rollouts", { plan: this.#plan() })
        return true
      } catch (error) {
        fault = error
        // Who has the plan has it from the controller: only its answer died with it.
        return this.#killed !== undefined
      }
    }, ASK_MS)
    if (!isMade) throw fault
  }

  /** Does as an operator does, until all is as it shall be. */
  async #goOn(): Promise<boolean> {
    if (this.#killed !== undefined && this.#death === undefined) await this.#revive(this.#killed)
    if (this.#isOver()) return true
    await this.#operate().catch(() => {
      // Cut off by a death, or nobody has answered the node that came back: it is asked again.
    })
    return false
  }

  async #revive(killed: Promise<unknown>): Promise<void> {
    const { copied } = this.#story
    const who = this.#who
    await killed
    this.#death = this.#place(who)
    const mortals = this.#mortals
    this.#others = mortals.filter((one) => one !== who).map((one) => this.#place(one))
    rmSync(this.#hold(), { force: true })
    const { data } = this.#scene.node(who)
    if (copied !== undefined) {
      rmSync(data, { recursive: true })
      renameSync(copyOf(data), data)
    }
    for (const one of mortals) await this.#scene.begin(one)
  }

  async #operate(): Promise<void> {
    const { end } = this.#story
    const phase = this.#phase()
    if (phase === "paused") {
      rmSync(this.#illness(), { force: true })
      await this.#act("resume")
    }
    if (phase === "created") await this.#act(end === "over" ? "abort" : "start")
    if (phase === "completed" && end === "back" && this.#areAll(["healthy"])) {
      if (this.#story.held === "back" && this.#death === undefined) writeFileSync(this.#hold(), "")
      await this.#act("rollback")
    }
  }

  #phase(): RolloutPhase {
    const last = this.#place("anchor").decided.at(-1)
    return last === undefined ? "created" : PHASES[last.act]
  }

  #isOver(): boolean {
    const { end } = this.#story
    // A death that is about to come is waited for.
    if (this.#killed !== undefined && this.#death === undefined) return false
    const { edge, anchor } = this.#places()
    if (edge.decided.length !== anchor.decided.length) return false
    if (end === "healthy") return this.#phase() === "completed" && this.#areAll(["healthy"])
    if (this.#phase() !== "aborted") return false
    return this.#areAll(end === "over" ? ["over"] : ["went-back", "stranded"])
  }

  #areAll(steps: readonly Step[]): boolean {
    return Object.values(this.#places()).every(({ step }) => step && steps.includes(step))
  }

  async #act(act: string): Promise<void> {
    await this.#ask(`/v1/rollouts/${this.#scene.name}/${act}`, { reason: "by hand" })
  }

  async #ask(path: string, body: object): Promise<void> {
    const signal = AbortSignal.timeout(ASK_MS)
    const client: ControlClient = await connectToNode(this.#scene.node("anchor").data, { signal })
    await client.ask("POST", path, body)
  }

  #places(): Readonly<Record<Who, Place>> {
    return { edge: this.#place("edge"), anchor: this.#place("anchor") }
  }

  #place(who: Who): Place {
    const { data } = this.#scene.node(who)
    return { ...readKept(data, this.#older[who]), runs: this.#linesOf(who).length }
  }

  #plan(): object {
    const { site, node, name } = this.#scene
    const [edge, anchor] = [node("edge").peerId, node("anchor").peerId]
    const program = { exec: [join(site, "activate")], timeout: "60s" }
    const link = { files: { path: join(site, NODE, "current") } }
    return {
      ...{ rollout: name, channel: name, releases: [this.#release.ref] },
      waves: [
        { name: "edge", nodes: { list: [edge] }, soak: "0s" },
        { name: "anchor", nodes: { list: [anchor] }, soak: "0s" },
      ],
      success: { threshold: "100%", minSample: 1 },
      error: { threshold: "40%", action: "pause" },
      activate: this.#story.activate === "program" ? program : link,
      probe: {
        exec: [join(site, "probe"), this.#story.activate],
        timeout: "10s",
        retries: 1,
        interval: "100ms",
      },
      onNoRollback: "deactivate",
    }
  }

  #outcome(): Told {
    const { edge, anchor } = this.#places()
    this.#verify()
    return {
      ...{ death: this.#death, others: this.#others, copy: this.#copy, decided: anchor.decided },
      steps: { edge: edge.step, anchor: anchor.step },
      runs: { edge: this.#runs("edge"), anchor: this.#runs("anchor") },
      running: { edge: this.#outcomeOf("edge"), anchor: this.#outcomeOf("anchor") },
    }
  }

  #outcomeOf(who: Who): Told["running"][Who] {
    const running = this.#running(who)
    if (running === undefined) return "nothing"
    if (running === this.#release) return "new"
    expect(running).toBe(this.#before[who])
    return "old"
  }

  /** Gives what runs, by what the program or the link says. */
  #running(who: Who): Published | undefined {
    const { site, node, releases } = this.#scene
    const { peerId } = node(who)
    const isLink = this.#story.activate === "link"
    const path = isLink ? join(site, peerId, "current", WEIGHTS) : join(site, `runs-${peerId}`)
    if (!existsSync(path)) return undefined
    const content = readFileSync(path)
    const said = isLink ? digestOf(content) : content.toString()
    return releases.find(({ ref, digest }) => said === (isLink ? digest : ref))
  }

  /** No byte ran that was not verified, and none before its gate; both know the same decisions. */
  #verify(): void {
    const { edge, anchor } = this.#places()
    expect(edge.decided).toEqual(anchor.decided)
    for (const line of this.#lines().slice(this.#linesBefore)) {
      const published = this.#scene.releases.find(({ ref }) => ref === line.release)
      expect(line.digest).toBe(published?.digest)
    }
    const releasedAtMs = (wave: number) =>
      anchor.decided.find((one) => one.act === "release" && one.wave === wave)?.at ?? Infinity
    for (const [wave, who] of (["edge", "anchor"] as const).entries()) {
      const [first] = this.#linesOf(who)
      if (first !== undefined) expect(first.atMs).toBeGreaterThanOrEqual(releasedAtMs(wave))
      if (who === "edge" && first !== undefined && releasedAtMs(1) < Infinity) {
        expect(first.atMs).toBeLessThanOrEqual(releasedAtMs(1))
      }
    }
  }

  #runs(who: Who): Told["runs"][Who] {
    const own = this.#linesOf(who)
    const ahead = own.filter((line) => line.release === this.#release.ref)
    const resumed = this.#place("anchor").decided.filter(({ act }) => act === "resume")
    const begins = [0, ...resumed.map(({ at }) => at)]
    const counts = begins.map((beginMs, attempt) => {
      const endMs = begins[attempt + 1] ?? Infinity
      return ahead.filter(({ atMs }) => atMs >= beginMs && atMs < endMs).length
    })
    return { ahead: counts, back: own.length - ahead.length }
  }

  #linesOf(who: Who): readonly Line[] {
    const { peerId } = this.#scene.node(who)
    return this.#lines()
      .slice(this.#linesBefore)
      .filter(({ node }) => node === peerId)
  }

  #lines(): readonly Line[] {
    return readFileSync(join(this.#scene.site, "lines"), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [atMs, node = "", release = "", digest = ""] = line.split(" ")
        return { atMs: Number(atMs), node, release, digest }
      })
  }

  #hold(): string {
    return join(this.#scene.site, `hold-${this.#scene.node(this.#who).peerId}`)
  }

  #illness(): string {
    return join(this.#scene.site, `ill-${this.#scene.node("edge").peerId}`)
  }
}

const digestOf = (content: string | Uint8Array) =>
  createHash("sha256").update(content).digest("hex")
const copyOf = (data: string) => `${data}-copy`

/** Leaves a line, does what it does, and then says what runs. */
const activateScript = (site: string) => `#!/bin/sh
set -eu
sum=$(sha256sum "$SEALIFT_PATH/${WEIGHTS}")
line="$(date +%s%3N) $SEALIFT_NODE $SEALIFT_RELEASE \${sum%% *}"
echo "$line" >>"${site}/lines"
while [ -e "${site}/hold-$SEALIFT_NODE" ]; do sleep 0.05; done
printf %s "$SEALIFT_RELEASE" >"${site}/runs-$SEALIFT_NODE"
`

/** Whether the release runs: by the program, or by the link. */
const probeScript = (site: string) => `#!/bin/sh
[ -e "${site}/ill-$SEALIFT_NODE" ] && exit 1
[ "$1" = link ] && [ "$(readlink "${site}/$SEALIFT_NODE/current")" = "$SEALIFT_PATH" ] && exit 0
[ "$1" = program ] && [ "$(cat "${site}/runs-$SEALIFT_NODE")" = "$SEALIFT_RELEASE" ]
`
