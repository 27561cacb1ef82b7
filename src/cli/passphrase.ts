/**
 * Passphrases of key files: from a file, never from the command line itself.
 * @module
 */
import type { DeviceKey } from "../fleet/device.ts"
import { readDeviceFile } from "../fleet/device-file.ts"
import { CliError } from "./errors.ts"
import type { Invocation } from "./invocation.ts"
import { onDisk, readLocalFile } from "./local-file.ts"

const PASSPHRASE_BYTES_MAX = 1024
const FILE_BYTES_MAX = 64 * 1024
/** The option of all commands that read or write a key file. */
export const PASSPHRASE_OPTION = [
  "--passphrase-file <file>",
  "file whose first line seals, or opens, the key file",
] as const

/** Reads the key file of a device. @throws FleetError `DEVICE_KEY_INVALID`; CliError */
export async function readDevice(invocation: Invocation, path: string): Promise<DeviceKey> {
  return await onDisk(path, () => readDeviceFile(path, () => askedPassphrase(invocation)))
}

/** Gives the first line of the file that was named; undefined when none was. */
export async function passphraseOf({ options }: Invocation): Promise<string | undefined> {
  const path = options.passphraseFile
  if (typeof path !== "string") return undefined
  const text = Buffer.from(await readLocalFile(path, FILE_BYTES_MAX)).toString("utf8")
  const [line = ""] = text.split(/\r?\n/, 1)
  if (line !== "" && Buffer.byteLength(line) <= PASSPHRASE_BYTES_MAX) return line
  throw new CliError(
    "USAGE_INVALID",
    `${path} has no first line of 1 to ${PASSPHRASE_BYTES_MAX} bytes`,
  )
}

async function askedPassphrase(invocation: Invocation): Promise<string> {
  const passphrase = await passphraseOf(invocation)
  if (passphrase !== undefined) return passphrase
  const message = "the key file has a passphrase; name the file that holds it by --passphrase-file"
  throw new CliError("USAGE_INVALID", message)
}
