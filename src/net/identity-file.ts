/**
 * The file that holds a node's identity: an Ed25519 key as PKCS #8 PEM, readable by its owner alone.
 * @module
 */
import { createPrivateKey, type KeyObject } from "node:crypto"
import { type FileHandle, open } from "node:fs/promises"
import { privateKeyObject, seedOf } from "../core/ed25519-key.ts"
import { codeOf } from "../core/errors.ts"
import { writeNewFile } from "../disk/durable-file.ts"
import { NetError } from "./errors.ts"
import { createIdentity, type Identity, identityFromSeed } from "./identity.ts"

const FILE_BYTES_MAX = 4096
const FILE_MODE = 0o600
const OTHERS_MODE = 0o077

/**
 * Reads the identity, or makes a new one when there is no file.
 * @throws NetError `IDENTITY_INVALID` when the file is no such key, or others may read it
 */
export async function loadIdentity(path: string): Promise<Identity> {
  const found = await readIdentity(path)
  if (found !== undefined) return found
  const created = createIdentity()
  if (await writeNew(path, created)) return created
  // Somebody else made one at the same moment: that one counts.
  const other = await readIdentity(path)
  if (other !== undefined) return other
  throw identityInvalid(path, "it comes and goes")
}

async function readIdentity(path: string): Promise<Identity | undefined> {
  const file = await openIfThere(path)
  if (file === undefined) return undefined
  try {
    const status = await file.stat()
    const { mode, size } = status
    if (!status.isFile()) throw identityInvalid(path, "it is no file")
    if ((mode & OTHERS_MODE) !== 0) {
      throw identityInvalid(path, `others may read it: run chmod 600 ${path}`)
    }
    if (size > FILE_BYTES_MAX) throw identityInvalid(path, "it is too large to be a key")
    return identityFromSeed(seedOf(parseKey(path, await file.readFile())))
  } finally {
    await file.close()
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r")
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw identityInvalid(path, `it cannot be read (${codeOf(cause)})`, cause)
  }
}

function parseKey(path: string, pem: Buffer): KeyObject {
  try {
    const key = createPrivateKey({ key: pem, format: "pem" })
    if (key.asymmetricKeyType === "ed25519") return key
  } catch {
    // The cause could quote the key: it is not passed on.
  }
  throw identityInvalid(path, "it holds no Ed25519 private key in PKCS #8 PEM")
}

/** Whoever comes first wins. @returns whether that is this one */
async function writeNew(path: string, { seed }: Identity): Promise<boolean> {
  const pem = privateKeyObject(seed).export({ format: "pem", type: "pkcs8" })
  try {
    return await writeNewFile(path, pem, FILE_MODE)
  } catch (cause) {
    throw identityInvalid(path, `it cannot be written (${codeOf(cause)})`, cause)
  }
}

function identityInvalid(path: string, why: string, cause?: unknown): NetError {
  return new NetError("IDENTITY_INVALID", `the identity file ${path} cannot be used: ${why}`, {
    cause,
    details: { path },
  })
}
