/**
 * The file that holds a node's identity: an Ed25519 key as PKCS #8 PEM, readable by its owner alone.
 * @module
 */
import { createPrivateKey, type KeyObject, randomBytes } from "node:crypto"
import { type FileHandle, link, open, rm } from "node:fs/promises"
import { dirname } from "node:path"
import { privateKeyObject, seedOf } from "../core/ed25519-key.ts"
import { codeOf } from "../core/errors.ts"
import { NetError } from "./errors.ts"
import { createIdentity, type Identity, identityFromSeed } from "./identity.ts"

const FILE_BYTES_MAX = 4096
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

/** Write, fsync, link: whoever comes first wins, and nobody sees half a file. */
async function writeNew(path: string, identity: Identity): Promise<boolean> {
  const draft = `${path}.${randomBytes(6).toString("hex")}.tmp`
  try {
    const file = await open(draft, "wx", 0o600)
    try {
      await file.writeFile(privateKeyObject(identity.seed).export({ format: "pem", type: "pkcs8" }))
      await file.sync()
    } finally {
      await file.close()
    }
    await link(draft, path)
    await syncFolder(dirname(path))
    return true
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false
    throw identityInvalid(path, `it cannot be written (${codeOf(cause)})`, cause)
  } finally {
    await rm(draft, { force: true })
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r")
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function identityInvalid(path: string, why: string, cause?: unknown): NetError {
  return new NetError("IDENTITY_INVALID", `the identity file ${path} cannot be used: ${why}`, {
    cause,
    details: { path },
  })
}
