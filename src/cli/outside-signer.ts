/**
 * A program that signs for `sealift`, for keys that never leave a device: it is run without a shell, as
 * `PROGRAM public` and `PROGRAM sign`.
 * @module
 */
import { spawn } from "node:child_process"
import { encodeBase64 } from "../core/byte-text.ts"
import { parseBase64 } from "../trust/base64.ts"
import { parsePublicKey } from "../trust/public-key.ts"
import type { Signer } from "../trust/signing-key.ts"
import { CliError } from "./errors.ts"

/** Somebody may have to find a token, and to press its button. */
const ANSWER_MS_MAX = 300_000
const ANSWER_BYTES_MAX = 4_096
const SIGNATURE_BYTES = 64

/**
 * Asks a program for its public key, and makes it a signer. `public` prints an Ed25519 key, 64 hex
 * digits; `sign` reads what is to be signed as one line of base64, and prints the signature as base64.
 * @throws CliError `SIGNER_FAILED`; TrustError `KEY_MALFORMED`, `KEY_WEAK`
 */
export async function openSigner(program: string, signal: AbortSignal): Promise<Signer> {
  const publicKey = parsePublicKey(await ask(program, "public", "", signal))
  return {
    publicKey,
    sign: async (bytes) => {
      const answer = await ask(program, "sign", `${encodeBase64(bytes)}\n`, signal)
      const signature = parseBase64(answer)
      if (signature?.length === SIGNATURE_BYTES) return signature
      throw failed(program, `what it printed is no signature of ${SIGNATURE_BYTES} bytes as base64`)
    },
  }
}

function ask(program: string, act: string, input: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = AbortSignal.timeout(ANSWER_MS_MAX)
    const options = { shell: false, signal: AbortSignal.any([signal, late]) }
    // What it has to say to its user, it says on the error output.
    const child = spawn(program, [act], { ...options, stdio: ["pipe", "pipe", "inherit"] })
    const parts: Buffer[] = []
    let sizeBytes = 0
    child.stdout.on("data", (part: Buffer) => {
      sizeBytes += part.length
      if (sizeBytes > ANSWER_BYTES_MAX) child.kill()
      else parts.push(part)
    })
    child.on("error", (cause) => {
      if (signal.aborted) return reject(signal.reason)
      reject(failed(program, late.aborted ? "it does not answer" : "it cannot be run", cause))
    })
    child.on("close", (code) => {
      if (code === 0 && sizeBytes <= ANSWER_BYTES_MAX) {
        return resolve(Buffer.concat(parts).toString("utf8").trim())
      }
      const isTooMuch = sizeBytes > ANSWER_BYTES_MAX
      reject(failed(program, isTooMuch ? "it prints too much" : `it ended with ${code}`))
    })
    // A program that needs no input may be gone before it was read.
    child.stdin.on("error", () => {})
    child.stdin.end(input)
  })
}

function failed(program: string, reason: string, cause?: unknown): CliError {
  return new CliError("SIGNER_FAILED", `the signer ${program} failed: ${reason}`, { cause })
}
