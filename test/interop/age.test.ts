// The stock age program opens what Sealift sealed, and Sealift opens what age wrote.
import { Buffer } from "node:buffer"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption"
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest"
import { openFile } from "../../src/seal/open-file.ts"
import { openPayload } from "../../src/seal/payload.ts"
import { CHUNK_BYTES } from "../../src/seal/payload-layout.ts"
import { PayloadPool } from "../../src/seal/payload-pool.ts"
import { sealFile } from "../../src/seal/seal-file.ts"
import { missingTools, run } from "../support/process.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const missing = missingTools("age")
const LENGTHS = [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 16 * CHUNK_BYTES, 300 * CHUNK_BYTES + 7]

/** Gives bytes of which no two chunks are alike. */
function plaintextOf(length: number): Buffer {
  const plain = Buffer.alloc(length)
  for (let at = 0; at < length; at++) plain[at] = at ^ (at >> 8) ^ (at >> 16)
  return plain
}

/** Splits an age file behind its header, whose last line begins with three dashes. */
function split(file: Buffer): { header: Buffer; payload: Buffer } {
  const end = file.indexOf("\n", file.indexOf("\n--- ") + 1) + 1
  return { header: file.subarray(0, end), payload: file.subarray(end) }
}

describe.skipIf(missing.length > 0)("the age program", () => {
  const pool = new PayloadPool()
  afterAll(() => pool.close())
  let workspace: Workspace
  let identity: string
  let recipient: string
  let identityPath: string

  beforeEach(async () => {
    workspace = openWorkspace("age")
    identity = await generateX25519Identity()
    recipient = await identityToRecipient(identity)
    identityPath = join(workspace.root, "identity")
    await writeFile(identityPath, `${identity}\n`)
  })
  afterEach(() => workspace.close())

  async function fileKeyOf(header: Uint8Array): Promise<Uint8Array> {
    const decrypter = new Decrypter()
    decrypter.addIdentity(identity)
    return decrypter.decryptHeader(header)
  }

  test.each(LENGTHS)(
    "opens a header and the payload of %i bytes that was sealed here",
    async (length) => {
      const [source, whole, opened] = ["plain", "whole.age", "opened"].map((name) =>
        join(workspace.root, name),
      ) as [string, string, string]
      const plain = plaintextOf(length)
      await writeFile(source, plain)
      const encrypter = new Encrypter()
      encrypter.addRecipient(recipient)
      const { header } = split(Buffer.from(await encrypter.encrypt("")))
      const fileKey = await fileKeyOf(header)
      const sealed = await sealFile({ pool }, { source, fileKey, folder: workspace.root })
      await writeFile(whole, [header, await readFile(sealed.path)])
      // By redirection: with `--output` age makes no file when the plaintext is empty.
      const script = 'age --decrypt --identity "$1" "$2" > "$3"'
      await run(["sh", "-c", script, "sh", identityPath, whole, opened])
      expect((await readFile(opened)).equals(plain)).toBe(true)
    },
  )

  test.each(LENGTHS)("writes a payload of %i bytes that opens here", async (length) => {
    const [source, whole, payloadPath] = ["plain", "whole.age", "payload"].map((name) =>
      join(workspace.root, name),
    ) as [string, string, string]
    const plain = plaintextOf(length)
    await writeFile(source, plain)
    await run(["age", "--encrypt", "--recipient", recipient, "--output", whole, source])
    const { header, payload } = split(await readFile(whole))
    const fileKey = await fileKeyOf(header)
    expect(plain.equals(openPayload(payload, { fileKey }))).toBe(true)
    await writeFile(payloadPath, payload)
    const folder = workspace.root
    const opened = await openFile({ pool }, { source: payloadPath, fileKey, folder })
    expect((await readFile(opened.path)).equals(plain)).toBe(true)
  })
})
