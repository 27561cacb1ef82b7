/**
 * Set-up of the unit tests: a signature that the slower implementation of Ed25519 has accepted is
 * not put to it again by the same process.
 *
 * Every node of a fleet reads the same files, which took half of the time of the tests of trust,
 * releases and rollouts. The answer depends on what is asked and on nothing else. A refusal is not
 * remembered; the other suites remember nothing.
 */
import { hash } from "node:crypto"
import { vi } from "vitest"

type Verify = typeof import("@noble/ed25519").verify

/** Signatures that one process remembers. */
const SIGNATURES_MAX = 65_536

vi.mock("@noble/ed25519", async (importOriginal) => {
  const real = await importOriginal<typeof import("@noble/ed25519")>()
  const accepted = new Set<string>()
  const verify: Verify = (...question) => {
    const text = textOf(...question)
    if (accepted.has(text)) return true
    if (!real.verify(...question)) return false
    if (accepted.size < SIGNATURES_MAX) accepted.add(text)
    return true
  }
  return { ...real, verify }
})

const textOf = (...[signature, message, key, options]: Parameters<Verify>): string =>
  JSON.stringify([hexOf(signature), hash("sha256", message), hexOf(key), options])

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
