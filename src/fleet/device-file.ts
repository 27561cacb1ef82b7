/**
 * The two files of a party's device: its keys, for its owner alone, and `.pub` for everybody.
 * @module
 */
import { open, rm } from "node:fs/promises"
import { writeNewFile } from "../disk/durable-file.ts"
import {
  AGE_FILE_BYTES_MAX,
  isAgeFile,
  openWithPassphrase,
  sealWithPassphrase,
} from "../seal/age-file.ts"
import {
  type DeviceKey,
  encodeDeviceKey,
  encodeDevicePublic,
  parseDeviceKey,
  parseDevicePublic,
} from "./device.ts"
import { FleetError } from "./errors.ts"

const SECRET_MODE = 0o600
const PUBLIC_MODE = 0o644
const OTHERS_MODE = 0o077

/** Gives where the public file of a key file lies. */
export function publicPathOf(path: string): string {
  return `${path}.pub`
}

/**
 * Writes both files, or none; never over what is there.
 * @param options.passphrase - seals the key file (age, scrypt)
 * @throws {@link FleetError} `DEVICE_EXISTS`
 * @throws Error a fault of the file system, with its code
 */
export async function writeDeviceFiles(
  device: DeviceKey,
  path: string,
  { passphrase }: { readonly passphrase?: string | undefined } = {},
): Promise<void> {
  const plain = encodeDeviceKey(device)
  const secret = passphrase === undefined ? plain : await sealWithPassphrase(plain, passphrase)
  await writeNew(path, secret, SECRET_MODE)
  try {
    await writeNew(publicPathOf(path), await encodeDevicePublic(device), PUBLIC_MODE)
  } catch (error) {
    await rm(path)
    throw error
  } finally {
    plain.fill(0)
  }
}

/**
 * Reads a key file.
 * @param passphrase - asked for only when the file is sealed with one
 * @throws {@link FleetError} `DEVICE_KEY_INVALID`
 * @throws Error a fault of the file system, with its code
 */
export async function readDeviceFile(
  path: string,
  passphrase: () => Promise<string>,
): Promise<DeviceKey> {
  const bytes = await readPrivate(path)
  if (!isAgeFile(bytes)) return await parseDeviceKey(bytes, path)
  const phrase = await passphrase()
  let plain: Uint8Array
  try {
    plain = await openWithPassphrase(bytes, phrase)
  } catch (cause) {
    const message = `${path} does not open with this passphrase`
    throw new FleetError("DEVICE_KEY_INVALID", message, { cause })
  }
  try {
    return await parseDeviceKey(plain, path)
  } finally {
    plain.fill(0)
  }
}

async function readPrivate(path: string): Promise<Uint8Array> {
  const file = await open(path, "r")
  try {
    const { mode, size } = await file.stat()
    if (size > AGE_FILE_BYTES_MAX) {
      throw new FleetError("DEVICE_KEY_INVALID", `${path} is too large to be a device's key`)
    }
    const bytes = await file.readFile()
    // Told before its mode: a public file is meant to be read by others.
    if (isDevicePublic(bytes)) {
      const message = `${path} is the public half of a device: name its key file`
      throw new FleetError("DEVICE_KEY_INVALID", message)
    }
    if ((mode & OTHERS_MODE) !== 0) {
      throw new FleetError("DEVICE_KEY_INVALID", `others may read ${path}: run chmod 600 ${path}`)
    }
    return bytes
  } finally {
    await file.close()
  }
}

function isDevicePublic(bytes: Uint8Array): boolean {
  try {
    parseDevicePublic(bytes)
    return true
  } catch {
    // Whatever else it is, it is not that.
    return false
  }
}

async function writeNew(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  if (await writeNewFile(path, bytes, mode)) return
  const message = `${path} is there already; keys are not overwritten`
  throw new FleetError("DEVICE_EXISTS", message, { details: { path } })
}
