/**
 * Many cold nodes are asked for one image at the same moment, and they and the registry have slow links:
 * how long until the last client has all, how soon has each its first byte, and how often did the
 * registry send the image? Every host is in a network namespace of its own.
 * @module
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { LabHost } from "../../test/support/network-lab.ts"
import type { Workspace } from "../../test/support/workspace.ts"
import { sumOf } from "../contenders/crowd.ts"
import { peerScript } from "../contenders/program.ts"
import { encodeImage, type Image } from "../layered-image.ts"
import { NodeProcess } from "../node-process.ts"
import { PeerProcess, resetUsage, usageSince } from "../peer-process.ts"
import { inWorkspace, prepareInWorkspace } from "../prepared-workspace.ts"
import type { PullTarget } from "../registry-client.ts"
import {
  type BenchOptions,
  type Contender,
  missingText,
  type NetworkShape,
  type Prepared,
  type Sample,
  type Scenario,
} from "../scenario.ts"
import { spreadOf } from "../statistics.ts"
import { type LabNetwork, openLabNetwork } from "./lab-network.ts"
import { REPOSITORY, randomImage, TAG, warmUpImage } from "./test-image.ts"

const MIB = 1024 ** 2
const DEFAULT_NETWORK: NetworkShape = { hosts: 32, rateMbit: 20 }
/** More clients than this straight from one registry take too long: each takes a copy of its link. */
const DIRECT_MAX = 8

interface Setting extends LabNetwork {
  readonly image: Image
  /** The files that a registry's process reads; the second image is pulled before the clock starts. */
  readonly imagePaths: readonly string[]
  readonly workspace: Workspace
}

/** One host that pulls. */
interface Puller {
  readonly client: PeerProcess
  readonly warmUp: PullTarget | undefined
  readonly target: PullTarget
}

/** The registry of one run. */
interface Origin {
  readonly process: PeerProcess
  readonly url: string
  readonly warmUrl: string
}

/** Seconds from the order. */
interface PullTimes {
  readonly seconds: number
  readonly firstByteSeconds: number
}

type OpenPullers = (
  setting: Setting,
  origin: Origin,
  run: { readonly workspace: Workspace; readonly signal: AbortSignal },
) => Promise<{ readonly pullers: Puller[]; readonly nodes: readonly NodeProcess[] }>

export const stampede: Scenario = {
  name: "stampede",
  question:
    "cold nodes are asked for one image at once, all links slow: when has the last client all?",
  defaults: { sizeBytes: 24 * MIB, runs: 3, network: DEFAULT_NETWORK },
  figures: [
    { heading: "p50 ÷ ideal", note: "p50", unit: "times" },
    { heading: "last ÷ ideal", note: "last", unit: "times" },
    { heading: "registry sent", note: "originCopies", unit: "times" },
    { heading: "first byte, last", note: "firstByteMs", unit: "ms" },
    { heading: "after a lone client's", note: "firstByteMoreMs", unit: "ms" },
  ],
  series: [
    { heading: "time of each client", note: "times", unit: "s" },
    { heading: "first byte of each client", note: "firstBytesMs", unit: "ms" },
  ],
  uncountedRounds: 0,
  baseline: "direct",
  generate(options): Promise<Prepared> {
    return prepareInWorkspace((workspace) => prepare(workspace, options))
  },
}

async function prepare(
  workspace: Workspace,
  options: BenchOptions,
): Promise<Omit<Prepared, "close">> {
  const image = await randomImage(workspace.root, options)
  const images = [image, await warmUpImage(workspace.root)]
  const imagePaths = images.map((one, nth) => {
    const path = join(workspace.root, `image-${nth}.json`)
    writeFileSync(path, encodeImage(one))
    return path
  })
  const shape = options.network ?? DEFAULT_NETWORK
  const network = await openLabNetwork(workspace, shape)
  const { hosts: count } = shape
  const setting = { ...network, image, imagePaths, workspace }
  const tooMany = count > DIRECT_MAX ? [`${count} copies over one link; at most ${DIRECT_MAX}`] : []
  return {
    payloadBytes: count * image.sizeBytes,
    contenders: [
      contender(setting, {
        name: "direct",
        about: `${count} clients, each straight from the registry`,
        open: openDirect,
        missing: [...network.missing, ...tooMany],
      }),
      contender(setting, {
        name: "direct-start",
        about: `${count} clients, each straight from the registry, until each has its first byte`,
        open: openDirect,
        missing: network.missing,
        isOverAtFirstBytes: true,
      }),
      contender(setting, {
        name: "sealift",
        about: `${count} clients, each through the cold node of its host`,
        open: openNodes,
        missing: network.missing,
      }),
    ],
  }
}

function contender(
  setting: Setting,
  plan: {
    readonly name: string
    readonly about: string
    readonly open: OpenPullers
    readonly missing: readonly string[]
    /** More copies over one link than anybody waits for: only their beginnings count. */
    readonly isOverAtFirstBytes?: boolean
  },
): Contender {
  const { name, about, open, missing, isOverAtFirstBytes = false } = plan
  return {
    name,
    about,
    missing: missingText(missing),
    measure: ({ signal }) =>
      inWorkspace("stampede", setting.workspace, async (workspace) => {
        const origin = await startOrigin(setting, workspace, signal)
        const { pullers, nodes } = await open(setting, origin, { workspace, signal })
        if (isOverAtFirstBytes) return await measureStart(origin, pullers)
        return await measureStampede(setting, { origin, pullers, nodes })
      }),
  }
}

async function measureStampede(
  { image, rateMbit }: Setting,
  run: {
    readonly origin: Origin
    readonly pullers: readonly Puller[]
    readonly nodes: readonly NodeProcess[]
  },
): Promise<Sample> {
  const { origin, pullers, nodes } = run
  const lone = await pullBefore(origin, pullers)
  const sentBefore = await sentBy(origin)
  const before = nodes.map(({ pid }) => resetUsage(pid))
  const done = await Promise.all(pullers.map(({ client, target }) => pullBy(client, target)))
  const usages = nodes.map(({ pid }, index) => usageSince(pid, before[index]!))
  const originCopies = ((await sentBy(origin)) - sentBefore) / image.sizeBytes
  const times = done.map(({ seconds }) => seconds)
  const firstBytesMs = done.map(({ firstByteSeconds }) => firstByteSeconds * 1000)
  const ideal = (image.sizeBytes * 8) / (rateMbit * 1e6)
  const { median, max } = spreadOf(times)
  const notes = {
    times,
    p50: median / ideal,
    last: max / ideal,
    originCopies,
    ...firstByteNotes(firstBytesMs, lone),
  }
  return { seconds: max, usage: nodes.length > 0 ? { nodes: sumOf(usages) } : {}, notes }
}

/** All clients pull at one moment, and are stopped once each has its first byte. */
async function measureStart(origin: Origin, pullers: readonly Puller[]): Promise<Sample> {
  const lone = await pullBefore(origin, pullers)
  for (const { client, target } of pullers) client.tell({ ...target, tellsFirstByte: true })
  const told = await Promise.all(pullers.map(({ client }) => client.next("first-byte")))
  const firstBytesMs = told.map(({ firstByteSeconds }) => Number(firstByteSeconds) * 1000)
  const notes = firstByteNotes(firstBytesMs, lone)
  return { seconds: notes.firstByteMs / 1000, usage: {}, notes }
}

/** What comes before the clock starts. @returns the pull of a client alone, straight from the registry */
async function pullBefore(origin: Origin, pullers: readonly Puller[]): Promise<PullTimes> {
  for (const { client, warmUp } of pullers) {
    await client.next("ready")
    if (warmUp !== undefined) await pullBy(client, warmUp)
  }
  // Nobody can have the first byte sooner.
  return pullBy(pullers[0]!.client, { base: origin.url, repository: REPOSITORY, tag: TAG })
}

function firstByteNotes(firstBytesMs: readonly number[], lone: PullTimes) {
  const firstByteMs = Math.max(...firstBytesMs)
  const firstByteMoreMs = firstByteMs - lone.firstByteSeconds * 1000
  return { firstBytesMs, firstByteMs, firstByteMoreMs }
}

async function pullBy(client: PeerProcess, target: PullTarget): Promise<PullTimes> {
  client.tell({ ...target })
  const { seconds, firstByteSeconds } = await client.next("done")
  return { seconds: Number(seconds), firstByteSeconds: Number(firstByteSeconds) }
}

async function sentBy({ process }: Origin): Promise<number> {
  process.tell({})
  return Number((await process.next("sent")).blobBytes)
}

async function startOrigin(
  { hosts, imagePaths }: Setting,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<Origin> {
  const { address } = hosts[0]!
  const words = [peerScript("origin-server"), address, REPOSITORY, TAG, ...imagePaths]
  const child = startOn(hosts[0]!, { workspace, signal, words })
  const [url, warmUrl] = (await child.next("ready")).urls as [string, string]
  return { process: child, url, warmUrl }
}

const openDirect: OpenPullers = async ({ hosts }, origin, run) => {
  const target = { base: origin.url, repository: REPOSITORY, tag: TAG }
  const pullers = hosts.slice(1).map((host) => {
    return { client: startClient(host, run), warmUp: undefined, target }
  })
  return { pullers, nodes: [] }
}

const openNodes: OpenPullers = async ({ hosts }, origin, run) => {
  const upstreams = { origin: origin.url, warm: origin.warmUrl }
  const nodes: NodeProcess[] = []
  const pullers: Puller[] = []
  for (const [index, place] of hosts.slice(1).entries()) {
    const peers = nodes.map(({ p2p }) => p2p[0]!)
    const plan = { name: `n${index + 1}`, folder: run.workspace.root, peers, upstreams, place }
    const node = await NodeProcess.start(plan, run)
    run.workspace.defer(() => node.stop())
    nodes.push(node)
    const at = (registry: string) => {
      return { base: node.http, repository: `${registry}/${REPOSITORY}`, tag: TAG }
    }
    pullers.push({ client: startClient(place, run), warmUp: at("warm"), target: at("origin") })
  }
  return { pullers, nodes }
}

const startClient = (host: LabHost, run: { workspace: Workspace; signal: AbortSignal }) =>
  startOn(host, { ...run, words: [peerScript("pull-client")] })

/** Starts a peer of the suite on a host; it is stopped with the workspace. */
function startOn(
  { namespace, address }: LabHost,
  options: { workspace: Workspace; signal: AbortSignal; words: readonly string[] },
): PeerProcess {
  const command = ["netns", "exec", namespace, process.execPath, ...options.words]
  const child = new PeerProcess(`peer on ${address}`, ["ip", ...command], options)
  options.workspace.defer(() => child.stop())
  return child
}
