/**
 * Does acts of trust when it is told to: `{"act":NAME}`. FOLDER is its own. One process for all of them:
 * what they are done on takes longer to make than most of them take.
 * @module
 */
import { join } from "node:path"
import { Decrypter, Encrypter } from "age-encryption"
import { approveBundle, type MadeApproval } from "../../src/release/approving.ts"
import { openDeviceHome } from "../../src/release/device-pin.ts"
import { deviceOf, NAMES } from "../../test/unit/release/fleet-scene.ts"
import { spreadOf } from "../statistics.ts"
import { makeTrustFleet, publishNextList, RECIPIENTS } from "../trust/fleet.ts"
import { type CheckTimes, type Opening, startOpening } from "../trust/opening.ts"
import { hear, say } from "./lines.ts"
import { startProfile } from "./profile.ts"

/** A check takes so little that one says nothing. */
const CHECKS = 20
/** Parties and the gate: so many age files a node opens for one release. */
const SHARES = NAMES.length + 1
const PARSES = 5
/** Bytes of the document in a grant. */
const DOCUMENT_BYTES = 2_300

const [folder] = process.argv.slice(2) as [folder: string]
const fleet = await makeTrustFleet(folder)
const nowMs = fleet.scene.clock.now()
let approvals = 0
/** What each party's device has made. */
const made = new Map<string, MadeApproval>()
let opening: Opening | undefined
/** The newest list that was published. */
let listFile: Uint8Array = fleet.scene.accessFile()

/** What an act took and found. */
type Outcome = Readonly<Record<string, unknown>> & { readonly seconds: number }

/** One party's device, which has never seen the fleet; the parties take turns. */
async function approve(): Promise<Outcome> {
  const party = NAMES[approvals % NAMES.length]!
  const startMs = performance.now()
  const { grants } = await approveAs(party)
  const seconds = secondsSince(startMs)
  const sizes = { bundleMiB: mib(fleet.bundle.length), grantsMiB: mib(grants!.length) }
  return { seconds, threeSeconds: seconds * NAMES.length, ...sizes }
}

async function approveAs(party: string): Promise<MadeApproval> {
  const home = openDeviceHome(join(folder, `device-${approvals++}`))
  const task = { bundle: fleet.bundle, device: deviceOf(party), home, nowMs }
  const approval = await approveBundle(task)
  if (approval.summary.skipped.length > 0) throw new Error("not every recipient was sealed to")
  made.set(party, approval)
  return approval
}

/** The same number of age files to the same recipients, and nothing else. */
async function sealBare(): Promise<Outcome> {
  const plain = new Uint8Array(DOCUMENT_BYTES)
  const startMs = performance.now()
  for (const { identity } of fleet.recipients) {
    const encrypter = new Encrypter()
    encrypter.addRecipient(identity.recipient)
    await encrypter.encrypt(plain)
  }
  return { seconds: secondsSince(startMs) }
}

async function check(): Promise<Outcome> {
  opening ??= await openingNode()
  const { envelope, keeperMs } = await opening.grantGate()
  const all: CheckTimes[] = []
  for (let count = 0; count < CHECKS; count++) all.push(await opening.check(envelope))
  const steps = Object.keys(all[0]!) as (keyof CheckTimes)[]
  const medians = steps.map((step) => [step, spreadOf(all.map((one) => one[step])).median])
  const checkMs = all.map((one) => steps.reduce((sum, step) => sum + one[step], 0))
  const { median, max } = spreadOf(checkMs)
  return {
    seconds: median / 1000,
    slowestMs: max,
    checkMs,
    keeperMs,
    ...Object.fromEntries(medians),
  }
}

/** A node that has the approvals of all parties, from a peer to which they were handed. */
async function openingNode(): Promise<Opening> {
  for (const party of NAMES) {
    const { approval, grants } = made.get(party) ?? (await approveAs(party))
    await fleet.publisher.book.addApproval(approval, grants)
  }
  const started = await startOpening(fleet, folder)
  const { envelope } = await started.grantGate()
  // The first one fetches the node's grants, as staging does.
  await started.check(envelope)
  return started
}

/** As many age files opened as a check opens, and nothing else. */
async function openBare(): Promise<Outcome> {
  const { identity } = fleet.node.self
  const encrypter = new Encrypter()
  encrypter.addRecipient(identity.recipient)
  const file = await encrypter.encrypt(new Uint8Array(DOCUMENT_BYTES))
  const times: number[] = []
  for (let count = 0; count < CHECKS; count++) {
    const startMs = performance.now()
    for (let share = 0; share < SHARES; share++) {
      const decrypter = new Decrypter()
      decrypter.addIdentity(identity.secret)
      await decrypter.decrypt(file)
    }
    times.push(secondsSince(startMs))
  }
  return { seconds: spreadOf(times).median }
}

async function acceptList(): Promise<Outcome> {
  const { member } = fleet.node
  listFile = await publishNextList(fleet)
  const block = watchLoop()
  const startMs = performance.now()
  await member.refresh(fleet.scene.files)
  const seconds = secondsSince(startMs)
  const blockMs = await block()
  const accepted = member.access()!.list
  if (accepted.version !== fleet.scene.state.accessVersion) throw new Error("the list was refused")
  return { seconds, blockMs, listMiB: mib(listFile.length), nodes: accepted.members.size }
}

async function parseBare(): Promise<Outcome> {
  const times: number[] = []
  for (let count = 0; count < PARSES; count++) {
    const startMs = performance.now()
    JSON.parse(Buffer.from(listFile).toString())
    times.push(secondsSince(startMs))
  }
  return { seconds: spreadOf(times).median }
}

/** Watches how long the event loop serves nobody. @returns what ends it and gives the longest time */
function watchLoop(): () => Promise<number> {
  let isOver = false
  let longestMs = 0
  const watching = (async () => {
    for (let lastMs = performance.now(); !isOver; ) {
      await new Promise((resolve) => setImmediate(resolve))
      const nowMs = performance.now()
      longestMs = Math.max(longestMs, nowMs - lastMs)
      lastMs = nowMs
    }
  })()
  return async () => {
    isOver = true
    await watching
    return longestMs
  }
}

function secondsSince(startMs: number): number {
  return (performance.now() - startMs) / 1000
}

function mib(bytes: number): number {
  return bytes / 1024 ** 2
}

const ACTS: Readonly<Record<string, () => Promise<Outcome>>> = {
  approve,
  "seal-bare": sealBare,
  check,
  "open-bare": openBare,
  list: acceptList,
  "parse-bare": parseBare,
}

say({ event: "ready", recipients: RECIPIENTS })
for (let order = await hear(); order !== undefined; order = await hear()) {
  const act = String(order.act)
  const endProfile = await startProfile(`trust-${act}`)
  const outcome = await ACTS[act]!()
  await endProfile()
  say({ event: "done", ...outcome })
}
opening?.close()
process.exit(0)
