/**
 * A little fleet of real rollout parts, on virtual time: books, runs, controllers and exchanges over the
 * memory network. Disks and machines outlive a node; a node can be killed at any of its acts.
 */
import { digestOf } from "../../../src/core/digest.ts"
import { type Logger, silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import type { Member } from "../../../src/fleet/access-list.ts"
import type { Membership } from "../../../src/fleet/fleet.ts"
import { peerSigner } from "../../../src/fleet/peer-signer.ts"
import type { SelfStanding } from "../../../src/fleet/self-standing.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerId, PeerNetwork } from "../../../src/net/net.ts"
import type { Activator, Prober } from "../../../src/rollout/activation.ts"
import type { RolloutContent } from "../../../src/rollout/content.ts"
import { RolloutController, type Witnessing } from "../../../src/rollout/controller.ts"
import { Controllers } from "../../../src/rollout/controllers.ts"
import { MemoryContent } from "../../../src/rollout/memory-content.ts"
import type { NodeState } from "../../../src/rollout/node-machine.ts"
import { NodeRollouts } from "../../../src/rollout/node-rollouts.ts"
import type { Plan } from "../../../src/rollout/plan.ts"
import { planPath } from "../../../src/rollout/plan-path.ts"
import type { KnownPlan } from "../../../src/rollout/plan-record.ts"
import { encodePlan } from "../../../src/rollout/plan-statement.ts"
import type { HealthReport } from "../../../src/rollout/report.ts"
import { ReportShelf } from "../../../src/rollout/report-shelf.ts"
import { RolloutBook } from "../../../src/rollout/rollout-book.ts"
import { RolloutExchange } from "../../../src/rollout/rollout-exchange.ts"
import { RolloutFiles } from "../../../src/rollout/rollout-files.ts"
import type { RolloutPhase, RolloutView } from "../../../src/rollout/rollout-view.ts"
import { createMemoryKv } from "../../../src/store/memory-kv.ts"
import type { SigningKey } from "../../../src/trust/signing-key.ts"
import { type MemoryFiles, memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import type { TufFiles } from "../../../src/trust/tuf/tuf-source.ts"
import { FLEET, fileOf, keyOf, NOW } from "../release/world.ts"
import { MachineTwin } from "./node-machine-twin.ts"
import { OPEN_PLAN, peerOf, seedOf } from "./rollout-scene.ts"
import { RolloutWitnesses } from "./rollout-witnesses.ts"

const PLANNER = keyOf(200)
const LOOKS_MAX = 2_000

/** What is left of a node when its process is gone. */
export interface Remains {
  readonly number: number
  readonly files: MemoryFiles
  /** What the files were after each write, the oldest first. */
  readonly history: ReadonlyMap<string, Uint8Array>[]
  /** Whether they were put back, and the next start is to find it out. */
  isPutBack: boolean
  readonly kv: ReturnType<typeof createMemoryKv>
  readonly content: MemoryContent
  readonly machine: MachineTwin
}

/** Where a node dies: before or after its act with this number. */
export interface Death {
  readonly act: number
  readonly isAfter: boolean
}

export interface WorldNode extends Remains {
  readonly peer: PeerId
  readonly net: PeerNetwork
  readonly book: RolloutBook
  readonly rollouts: NodeRollouts
  readonly exchange: RolloutExchange
  readonly membership: Membership
  /** Acts so far that can be cut off: writes, and what is done to the machine. */
  readonly acts: () => number
  /** Every step of every plan, as `VERSION STEP`. */
  readonly steps: string[]
  /** The last step when peers were told how far it came, and how much was done to its machine. */
  readonly signs: string[]
  /** Codes of refused reports, `onConflict` and warnings. */
  readonly told: string[]
  /** Who sent decisions that count for nothing, and their codes. */
  readonly refused: string[]
  readonly reports: HealthReport[]
  readonly isDead: () => boolean
  readonly untilDead: Promise<void>
  controllerOf(known: KnownPlan): Promise<RolloutController | undefined>
  stop(): Promise<void>
}

const never = () => new Promise<never>(() => {})

export class RolloutWorld {
  readonly clock: VirtualClock = new VirtualClock(NOW)
  readonly hub: MemoryHub = createMemoryHub({ clock: this.clock, latencyMs: 1 })
  readonly members: Map<number, Member> = new Map()
  readonly nodes: Map<number, WorldNode> = new Map()
  readonly #remains = new Map<number, Remains>()
  readonly #targets = new Map<string, Uint8Array>()
  accessVersion = 1
  readonly witnesses: RolloutWitnesses = new RolloutWitnesses({
    clock: this.clock,
    knownBy: (origin) => [...this.nodes.values()].find(({ book }) => book.logged(origin))?.book,
  })
  /** Nodes whose clock is not to be trusted now. */
  readonly clockless: Set<PeerId> = new Set()
  /** Nodes that are known to lack what is newest in the fleet. */
  readonly heldBack: Set<PeerId> = new Set()
  /** Whether nobody gives any target file now. */
  isUnreadable = false

  /** Lets nodes into the fleet. */
  admit(...numbers: readonly number[]): void {
    for (const number of numbers) {
      const labels = { n: String(number) }
      const peer = peerOf(number)
      this.members.set(number, { peer, groups: [], labels, isAnchor: false, minCounter: 0 })
    }
    this.accessVersion++
  }

  /**
   * The fleet lists a plan, in the place of the one of the channel before.
   * @param options - `unheard`: nodes that do not hear of it yet; `signer`: in the place of the plan role;
   * `path`: in the place of its own
   */
  async publish(
    plan: Plan,
    options: {
      readonly dropped?: readonly Plan[]
      readonly unheard?: readonly number[]
      readonly signer?: SigningKey
      readonly path?: string
    } = {},
  ): Promise<void> {
    const { dropped = [], unheard = [], signer = PLANNER, path = planPath(plan) } = options
    this.#targets.set(path, await fileOf(encodePlan(plan), signer))
    for (const old of dropped) this.#targets.delete(planPath(old))
    for (const [number, { book, untilDead }] of this.nodes) {
      if (!unheard.includes(number)) await Promise.race([book.refresh(), untilDead])
    }
  }

  unlist(plan: Plan): void {
    this.#targets.delete(planPath(plan))
  }

  remainsOf(number: number): Remains {
    const known = this.#remains.get(number)
    if (known !== undefined) return known
    const content = new MemoryContent()
    const machine = new MachineTwin(content.opened)
    const [files, kv, history] = [memoryFiles(), createMemoryKv(), []]
    const remains: Remains = { number, files, history, isPutBack: false, kv, content, machine }
    this.#remains.set(number, remains)
    return remains
  }

  /** Puts the files of a node that does not run back to what they were some writes ago. */
  restore(number: number, steps: number): void {
    const { files, history } = this.remainsOf(number)
    const old = history[Math.max(0, history.length - 1 - steps)] ?? new Map()
    files.contents.clear()
    this.remainsOf(number).isPutBack = true
    for (const [name, bytes] of old) files.contents.set(name, bytes)
  }

  node(number: number): WorldNode {
    return this.nodes.get(number)!
  }

  /** Starts a node from what is left of it, and connects it to everybody. */
  async start(
    number: number,
    options: {
      readonly death?: Death
      readonly isStageOnly?: boolean
      readonly witness?: Witnessing
      readonly isAlone?: boolean
    } = {},
  ): Promise<WorldNode> {
    const { clock, hub } = this
    const remains = this.remainsOf(number)
    const { isPutBack } = remains
    const net = hub.join({ seed: seedOf(number) })
    const mortal = new Mortal(options.death, () => hub.drop(net.id))
    const told: string[] = []
    const steps: string[] = []
    const signs: string[] = []
    const refused: string[] = []
    const reports: HealthReport[] = []
    const log = listening(told)
    const membership = this.#membershipOf(net.id)
    const files = new RolloutFiles(mortal.files(remains.files, remains.history))
    const content = mortal.content(remains.content)
    const book = await RolloutBook.open({
      ...{ membership, files, log },
      witnesses: () => this.witnesses.list,
      onConflict: () => told.push("conflict"),
      onDropped: async (known) => {
        controllers.drop(known)
        exchange.drop(known)
        await rollouts.drop(known)
        await shelf.drop(known)
      },
    })
    const signer = peerSigner(net)
    const witness: Witnessing =
      options.witness ?? ((decided, list) => this.witnesses.cosign(decided, list))
    const shelf = new ReportShelf({ kv: remains.kv, log })
    const make = (known: KnownPlan) => {
      return new RolloutController(
        {
          ...{ book, membership, signer, shelf, clock, log, witness },
          compare: (one) => exchange.compare(one),
          announce: ({ named }, envelope) => exchange.announce(named.digest, envelope),
          audience: (one) => (peer) => content.isFor(one.plan.said.releases, peer),
          onReport: (_, report) => reports.push(report),
          onRefused: (_, __, code) => told.push(code),
        },
        known,
      )
    }
    const controllers = new Controllers({ self: net.id, log, make })
    const exchange = new RolloutExchange(
      {
        ...{ net, clock, log, book },
        takeReport: async (known, node, envelope) =>
          (await controllers.of(known))?.takeReport(node, envelope) ?? false,
        onRefused: (_, peer, code) => refused.push(`${peer} ${code}`),
      },
      { fleet: FLEET },
    )
    // As soon as somebody is met, it is known; and it has caught up with the fleet's files at once.
    const self: SelfStanding = {
      fault: () => undefined,
      wasPutBack: () => isPutBack && net.peers().length > 0,
      verify: async () => {},
      tell: async () => {
        signs.push(`${steps.at(-1)}, ${remains.machine.done.length} done`)
      },
    }
    const rollouts = new NodeRollouts(
      {
        ...{ self, book, files, membership, signer, net, content, clock, log },
        activator: mortal.activator(remains.machine),
        prober: mortal.prober(remains.machine),
        send: (known, envelope) => exchange.report(known, envelope),
        compare: (known) => exchange.compare(known),
        askRoster: (known) => exchange.roster(known),
        onStep: async ({ named }, state) => {
          steps.push(`${named.version} ${state.step}`)
        },
      },
      {
        timeZone: "UTC",
        isStageOnly: options.isStageOnly ?? false,
        boot: "0123456789abcdef".repeat(2),
      },
    )
    await Promise.race([book.refresh(), mortal.died])
    const look = () => controllers.look(book.plans())
    const forget = book.onChange(() => void look())
    exchange.start()
    await look()
    // Whoever dies while it starts never ends to do so.
    const starting = rollouts.start()
    remains.isPutBack = false
    await Promise.race([starting, mortal.died])
    const node: WorldNode = {
      ...{
        ...remains,
        peer: net.id,
        net,
        membership,
        book,
        rollouts,
        exchange,
        steps,
        signs,
        told,
        refused,
        reports,
      },
      controllerOf: (known) => controllers.of(known),
      acts: () => mortal.acts,
      isDead: () => mortal.isDead,
      untilDead: mortal.died,
      stop: async () => {
        forget()
        exchange.stop()
        controllers.stop()
        if (!mortal.isDead) await rollouts.stop()
        hub.drop(net.id)
        this.nodes.delete(number)
      },
    }
    this.nodes.set(number, node)
    if (options.isAlone !== true) hub.connectAll()
    return node
  }

  async startAll(): Promise<void> {
    for (const number of this.members.keys()) await this.start(number)
  }

  async close(): Promise<void> {
    for (const node of [...this.nodes.values()]) await node.stop()
  }

  known(number: number, { name, version }: Plan): KnownPlan {
    return this.node(number).book.find(name, version)!
  }

  view(number: number, plan: Plan): RolloutView {
    return this.node(number).book.view(this.known(number, plan))
  }

  state(number: number, plan: Plan): NodeState | undefined {
    const { book, rollouts } = this.node(number)
    const known = book.find(plan.name, plan.version)
    return known && rollouts.state(known.named.digest)
  }

  /** Decides by hand, at the controller. */
  async act(
    number: number,
    plan: Plan,
    act: Parameters<RolloutController["act"]>[0],
  ): Promise<void> {
    const controller = await this.node(number).controllerOf(this.known(number, plan))
    await this.during(controller!.act(act, "by hand"))
  }

  /** Lets time pass until some work is done. */
  async during<T>(work: Promise<T>): Promise<T> {
    let isDone = false
    const mark = () => {
      isDone = true
    }
    work.then(mark, mark)
    await this.until(() => isDone, 100)
    return await work
  }

  /** Lets time pass until something is so. */
  async until(isSo: () => boolean, stepMs = 500): Promise<void> {
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      if (isSo()) return
      await this.clock.advance(stepMs)
    }
    throw new Error("it never came about")
  }

  async untilPhase(number: number, plan: Plan, phase: RolloutPhase): Promise<void> {
    await this.until(() => this.view(number, plan).phase === phase)
  }

  #membershipOf(peer: PeerId): Membership {
    const list = () => ({
      ...{ fleet: FLEET, version: this.accessVersion, issuedAtMs: NOW, groups: new Map() },
      members: new Map([...this.members.values()].map((member) => [member.peer, member])),
      ...{ rules: [], revoked: new Set<string>(), digest: digestOf(Buffer.from("the list")) },
    })
    const targetOf = (path: string, bytes: Uint8Array) => ({
      ...{ path, role: "plan", sizeBytes: bytes.length, roleVersion: 1, isStale: false },
      sha256: digestOf(bytes).slice("sha256:".length),
    })
    return {
      ...{ fleet: FLEET, name: "lab", peer },
      access: () => ({ list: list(), isStale: false }),
      policy: async () => undefined,
      clockFault: () => {
        const nowMs = this.clock.now()
        return this.clockless.has(peer)
          ? { ahead: "clock", clockMs: nowMs, witnessesMs: 0 }
          : undefined
      },
      heldBack: () =>
        this.heldBack.has(peer) ? { count: 2, total: 4, lacks: ["access"] } : undefined,
      unheard: () => undefined,
      witnesses: () => undefined,
      roleHolders: () => ({ keys: new Set([PLANNER.publicKey]), threshold: 1 }),
      targets: () => [...this.#targets].map(([path, bytes]) => targetOf(path, bytes)),
      readTarget: async (path) => {
        const bytes = this.#targets.get(path)
        return bytes && { ...targetOf(path, bytes), bytes }
      },
      source: { read: async () => undefined },
      nowMs: () => this.clock.now(),
    }
  }
}

/** A plan of these waves, each a list of nodes by number, without soak. */
export function planOf(
  waves: readonly (readonly number[] | "rest")[],
  change: Partial<Plan> = {},
): Plan {
  return {
    ...OPEN_PLAN,
    waves: waves.map((nodes, index) => ({
      name: `wave-${index}`,
      select:
        nodes === "rest"
          ? { kind: "all" as const }
          : { kind: "list" as const, peers: nodes.map(peerOf) },
      amount: undefined,
      soakMs: 0,
    })),
    ...change,
  }
}

/** Cuts a node off at one of its acts: what comes after never ends, as of a process that is gone. */
class Mortal {
  acts = 0
  isDead = false
  readonly died: Promise<void>
  readonly #death: Death | undefined
  #die: () => void = () => {}

  constructor(death: Death | undefined, bury: () => void) {
    this.#death = death
    this.died = new Promise((resolve) => {
      this.#die = () => {
        this.isDead = true
        bury()
        resolve()
      }
    })
  }

  files(files: MemoryFiles, history: ReadonlyMap<string, Uint8Array>[]): TufFiles {
    return {
      read: (name, options) => this.#alive(() => files.read(name, options)),
      list: (folder) => this.#alive(() => files.list(folder)),
      write: (name, bytes) =>
        this.#act(async () => {
          await files.write(name, bytes)
          history.push(new Map(files.contents))
        }),
      remove: (name) => this.#act(() => files.remove(name)),
    }
  }

  content(content: MemoryContent): RolloutContent {
    return {
      stage: (release, options) => this.#alive(() => content.stage(release, options)),
      prepare: (release) => this.#alive(() => content.prepare(release)),
      open: (release, options) => this.#act(() => content.open(release, options)),
      objection: (release) => this.#alive(() => content.objection(release)),
      activationOf: (release) => content.activationOf(release),
      isFor: (releases, node) => content.isFor(releases, node),
      keepOnly: (paths) => this.#act(() => content.keepOnly(paths)),
      onChange: (listener) => content.onChange(listener),
    }
  }

  activator(machine: MachineTwin): Activator {
    return {
      verifyAllowed: (activation) => machine.verifyAllowed(activation),
      activate: (activation, target) => this.#act(() => machine.activate(activation, target)),
      isRunning: (activation, target) => this.#alive(() => machine.isRunning(activation, target)),
      deactivate: () => this.#act(() => machine.deactivate()),
    }
  }

  prober(machine: MachineTwin): Prober {
    return {
      verifyAllowed: (probe) => machine.verifyAllowed(probe),
      probe: (probe, subject) => this.#act(() => machine.probe(probe, subject)),
    }
  }

  #alive<T>(work: () => Promise<T>): Promise<T> {
    return this.isDead ? never() : work()
  }

  async #act<T>(work: () => Promise<T>): Promise<T> {
    if (this.isDead) return await never()
    const act = this.acts++
    const isLast = act === this.#death?.act
    if (isLast && this.#death?.isAfter !== true) {
      this.#die()
      return await never()
    }
    if (!isLast) return await work()
    await work().catch(() => {})
    this.#die()
    return await never()
  }
}

/** A log that keeps the codes of what was warned of. */
function listening(told: string[]): Logger {
  const note = ({ code }: Record<string, unknown>) => {
    if (typeof code === "string") told.push(code)
  }
  return { ...silentLogger, warn: note, error: note, child: () => listening(told) }
}
