/** Cases of rosters and of places in them, for ../rollout-vectors.ts. */
import { createHash } from "node:crypto"
import { bad, base64, type Case, type Fields, good } from "../release-vectors/scene.ts"
import { NODES } from "./wave-cases.ts"

const INVALID = "ROSTER_INVALID"
const SORTED = NODES.toSorted()
const [A, B, C] = SORTED as [string, string, string]

const hash = (...parts: readonly Uint8Array[]) => {
  const hasher = createHash("sha256")
  for (const part of parts) hasher.update(part)
  return hasher.digest()
}

/** RFC 6962 §2.1, by its own words. */
function rootOf(entries: readonly string[]): Buffer {
  if (entries.length === 0) return hash()
  if (entries.length === 1) return hash(Uint8Array.of(0), Buffer.from(entries[0]!))
  const split = splitOf(entries.length)
  return hash(Uint8Array.of(1), rootOf(entries.slice(0, split)), rootOf(entries.slice(split)))
}

/** RFC 6962 §2.1.1. */
function pathOf(index: number, entries: readonly string[]): Buffer[] {
  if (entries.length === 1) return []
  const split = splitOf(entries.length)
  const [left, right] = [entries.slice(0, split), entries.slice(split)]
  return index < split
    ? [...pathOf(index, left), rootOf(right)]
    : [...pathOf(index - split, right), rootOf(left)]
}

function splitOf(count: number): number {
  let split = 1
  while (split * 2 < count) split *= 2
  return split
}

const LINES = SORTED.map((peer, index) => `${peer} ${index % 3}\n`)
const HASHES = (index: number) => pathOf(index, LINES).map((one) => one.toString("hex"))

function ok(name: string, comment: string, text: string, waves: readonly string[][]): Case {
  const lines = text.split(/(?<=\n)/).filter((line) => line !== "")
  const output = { waves, size: lines.length, root: rootOf(lines).toString("hex") }
  return good(`roster-${name}`, comment, input(text, waves.length), output)
}

const input = (text: string, waves: number): Fields => ({ file: base64(Buffer.from(text)), waves })

function place(name: string, comment: string, change: Fields, code = INVALID): Case {
  const right = {
    root: rootOf(LINES).toString("hex"),
    size: 12,
    peer: SORTED[7],
    wave: 1,
    index: 7,
  }
  const fields = { ...right, proof: HASHES(7), ...change }
  if (code !== "ok") return bad(`place-${name}`, comment, fields, code)
  return good(`place-${name}`, comment, fields, {})
}

export function rosterCases(): readonly Case[] {
  const wrong = (name: string, comment: string, text: string) =>
    bad(`roster-${name}`, comment, input(text, 3), INVALID)
  const every = [0, 1, 2].map((wave) => SORTED.filter((_, index) => index % 3 === wave))
  return [
    ok("ok", "Twelve nodes in three waves.", LINES.join(""), every),
    ok("empty", "Nobody is in any wave.", "", [[], [], []]),
    ok("one", "One node, in the last wave.", `${A} 2\n`, [[], [], [A]]),
    wrong("no-end", "The last line has no end.", `${A} 0\n${B} 0`),
    wrong("order", "Out of order.", `${B} 0\n${A} 0\n`),
    wrong("twice", "A node twice.", `${A} 0\n${A} 1\n`),
    wrong("wave", "A wave that the plan has not.", `${A} 3\n`),
    wrong("wave-zero", "A wave with a zero before it.", `${A} 01\n`),
    wrong("peer", "What is no peer id.", "12D3KooW 0\n"),
    wrong("carriage", "A carriage return.", `${A} 0\r\n`),
    wrong("empty-line", "An empty line.", `${A} 0\n\n${B} 0\n`),
    wrong("space", "Two spaces.", `${C}  0\n`),
    place("ok", "The eighth of twelve.", {}, "ok"),
    place(
      "last",
      "The last of twelve.",
      {
        ...{ peer: SORTED[11], wave: 2, index: 11, proof: HASHES(11) },
      },
      "ok",
    ),
    place("wave", "Another wave.", { wave: 0 }),
    place("peer", "Another node.", { peer: SORTED[8] }),
    place("index", "Another place.", { index: 6 }),
    place("size", "Another size.", { size: 8 }),
    place("short", "A hash too few.", { proof: HASHES(7).slice(1) }),
    place("long", "A hash too many.", { proof: [...HASHES(7), HASHES(7)[0]] }),
  ]
}
