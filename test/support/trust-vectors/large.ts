/** Cases of protocol/envelope.md about sizes; what repeats in a file is told by a rule. */
import type { VectorCase } from "./keys.ts"
import {
  ALICE,
  base64,
  draft,
  envelope,
  fileOf,
  payloadOf,
  read,
  type Scene,
  SHA256,
  STATEMENT,
} from "./scene.ts"

const FILE_BYTES_MAX = 4 * 1024 * 1024
const PAYLOAD_BYTES_MAX = 3_000_000
const SUBJECTS_MAX = 10_000

/** White space that makes a length divide by 3, so that base64 of parts can be joined. */
const align = (length: number): string => " ".repeat((3 - (length % 3)) % 3)

/** A file whose payload is `head`, `count` times `unit`, and `tail`, signed as a whole. */
function sceneOf(head: string, unit: string, count: number, tail: string): Scene {
  const readPayload = Buffer.from(head + unit.repeat(count) + tail)
  const { signatures, payloadType } = envelope(readPayload)
  const payload = base64(Buffer.from(head + tail))
  const file = fileOf({ payload, payloadType, signatures })
  const at = '{"payload":"'.length + (head.length / 3) * 4
  return { file, insert: { at, text: base64(Buffer.from(unit)), count }, readPayload }
}

function payloadOfBytes(sizeBytes: number): Scene {
  const start = JSON.stringify(draft({ later: "" })).slice(0, -'"}}'.length)
  const head = `${align(start.length)}${start}`
  const tail = `"}}${" ".repeat((sizeBytes - head.length) % 3)}`
  return sceneOf(head, "xxx", (sizeBytes - head.length - tail.length) / 3, tail)
}

function withSubjects(count: number): Scene {
  const { subject: _, ...rest } = STATEMENT
  const start = `${JSON.stringify(rest).slice(0, -1)},"subject":[`
  const subject = `${JSON.stringify({ name: "a", digest: { sha256: SHA256 } })},`
  const unit = subject + align(subject.length)
  return sceneOf(start + align(start.length), unit, count - 1, `${subject.slice(0, -1)}]}`)
}

/** A right file with spaces after it. */
function fileOfBytes(sizeBytes: number): Scene {
  const file = fileOf(envelope(payloadOf(STATEMENT)))
  return { file, insert: { at: file.length, text: " ", count: sizeBytes - file.length } }
}

export function largeCases(): readonly VectorCase[] {
  const good = [ALICE.text]
  const large = "ENVELOPE_TOO_LARGE"
  return [
    read("file-largest", "A file of 4 MiB.", fileOfBytes(FILE_BYTES_MAX), good),
    read("file-too-large", "One byte more.", fileOfBytes(FILE_BYTES_MAX + 1), large),
    read("payload-largest", "3,000,000 bytes.", payloadOfBytes(PAYLOAD_BYTES_MAX), good),
    read("payload-too-large", "One byte more.", payloadOfBytes(PAYLOAD_BYTES_MAX + 1), large),
    read("subjects-most", "10,000 subjects.", withSubjects(SUBJECTS_MAX), good),
    read(
      "subjects-too-many",
      "10,001 subjects.",
      withSubjects(SUBJECTS_MAX + 1),
      "STATEMENT_MALFORMED",
    ),
  ]
}
