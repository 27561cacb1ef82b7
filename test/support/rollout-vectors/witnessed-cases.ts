/** Cases of decisions that witnesses have cosigned, for ../rollout-vectors.ts. */
import { createHash } from "node:crypto"
import { peerIdOfKey } from "../peer-id.ts"
import { bad, base64, type Case, type Fields, FLEET, good } from "../release-vectors/scene.ts"
import { leafOf, rootOf } from "../rfc6962.ts"
import { keyOf } from "../trust-vectors/keys.ts"

type Key = ReturnType<typeof keyOf>

const UNWITNESSED = "DECISION_UNWITNESSED"
const SECONDS = 1_800_000_000
const CONTROLLER = keyOf("controller")
const WITNESSES = [0, 1, 2, 3].map((index) => ({
  key: keyOf(`witness ${index}`),
  peer: peerIdOfKey(Buffer.from(keyOf(`witness peer ${index}`).text, "hex")),
}))
const sha256 = (...parts: readonly Uint8Array[]) =>
  createHash("sha256").update(Buffer.concat(parts)).digest()
const PLAN = sha256(Buffer.from("a plan")).toString("hex")
const ORIGIN = `sealift.rollout/model-1/2/${PLAN.slice(0, 16)}`
const DECISIONS = [0, 1, 2].map((index) => sha256(Buffer.from(`decision ${index}`)))

function line(name: string, type: number, key: Key, signature: Uint8Array): string {
  const raw = Buffer.from(key.text, "hex")
  const keyId = sha256(Buffer.from(`${name}\n`), Uint8Array.of(type), raw).subarray(0, 4)
  return `\u2014 ${name} ${base64(Buffer.concat([keyId, signature]))}\n`
}

function cosignature(text: string, { key, peer }: (typeof WITNESSES)[number]): string {
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(BigInt(SECONDS))
  const signature = key.sign(Buffer.from(`cosignature/v1\ntime ${SECONDS}\n${text}`))
  return line(`sealift.witness/${peer}`, 4, key, Buffer.concat([time, signature]))
}

function noteOf(
  entries: readonly Uint8Array[],
  { origin = ORIGIN, key = CONTROLLER, count = 3 } = {},
): string {
  const text = `${origin}\n${entries.length}\n${rootOf(entries.map(leafOf)).toString("base64")}\n`
  const own = line(origin, 1, key, key.sign(Buffer.from(text)))
  const cosigned = WITNESSES.slice(0, count).map((one) => cosignature(text, one))
  return `${text}\n${own}${cosigned.join("")}`
}

const inputOf = (note: string, change: Fields = {}): Fields => ({
  controller: peerIdOfKey(Buffer.from(CONTROLLER.text, "hex")),
  plan: { name: "model-1", version: 2, digest: PLAN },
  fleet: FLEET,
  list: JSON.stringify({
    ...{ v: 1, fleet: FLEET, version: 1, threshold: 3 },
    witnesses: WITNESSES.map(({ key, peer }) => ({ peer, key: key.text })),
  }),
  decisions: DECISIONS.map((digest) => digest.toString("hex")),
  note,
  ...change,
})

export function witnessedCases(): readonly Case[] {
  const others = [...DECISIONS.slice(0, 2), sha256(Buffer.from("another decision"))]
  const refused = (name: string, comment: string, note: string, change: Fields = {}) =>
    bad(`witnessed-${name}`, comment, inputOf(note, change), UNWITNESSED)
  return [
    good("witnessed-all", "Three of four have cosigned all.", inputOf(noteOf(DECISIONS)), 3),
    good(
      "witnessed-some",
      "The last decision came after what was cosigned.",
      inputOf(noteOf(DECISIONS.slice(0, 2))),
      2,
    ),
    refused("too-few", "Two of four have cosigned.", noteOf(DECISIONS, { count: 2 })),
    refused("other", "The last decision is another one.", noteOf(others)),
    refused("more", "More was cosigned than is known.", noteOf(DECISIONS), {
      decisions: DECISIONS.slice(0, 2).map((digest) => digest.toString("hex")),
    }),
    refused("order", "The same in another order.", noteOf(DECISIONS.toReversed())),
    refused(
      "plan-other",
      "The log of another version of the plan.",
      noteOf(DECISIONS, { origin: ORIGIN.replace("/2/", "/3/") }),
    ),
    refused(
      "digest-other",
      "The log of another plan of this name and version.",
      noteOf(DECISIONS, { origin: `sealift.rollout/model-1/2/${"0".repeat(16)}` }),
    ),
    refused(
      "key-other",
      "Not by the controller's key.",
      noteOf(DECISIONS, { key: keyOf("other") }),
    ),
    refused("no-note", "No checkpoint.", "no note"),
  ]
}
