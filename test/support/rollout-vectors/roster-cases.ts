/** Cases of rosters and of places in them, for ../rollout-vectors.ts. */
import { bad, base64, type Case, type Fields, good } from "../release-vectors/scene.ts"
import { leafOf, pathOf, rootOf } from "../rfc6962.ts"
import { NODES } from "./wave-cases.ts"

const INVALID = "ROSTER_INVALID"
const SORTED = NODES.toSorted()
const [A, B, C] = SORTED as [string, string, string]

const LINES = SORTED.map((peer, index) => `${peer} ${index % 3}\n`)
const LEAVES = LINES.map(leafOf)
const HASHES = (index: number) => pathOf(index, LEAVES).map((one) => one.toString("hex"))

function ok(name: string, comment: string, text: string, waves: readonly string[][]): Case {
  const lines = text.split(/(?<=\n)/).filter((line) => line !== "")
  const output = { waves, size: lines.length, root: rootOf(lines.map(leafOf)).toString("hex") }
  return good(`roster-${name}`, comment, input(text, waves.length), output)
}

const input = (text: string, waves: number): Fields => ({ file: base64(Buffer.from(text)), waves })

function place(name: string, comment: string, change: Fields, code = INVALID): Case {
  const right = {
    root: rootOf(LEAVES).toString("hex"),
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
