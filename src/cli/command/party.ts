/**
 * `sealift party init NAME`, `party show FILE`: the keys of a party's device. They need no node, so
 * that they can be made where no network is.
 * @module
 */
import { readFile } from "node:fs/promises"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { codeOf } from "../../core/errors.ts"
import {
  createDevice,
  DEVICE_BYTES_MAX,
  type DevicePublic,
  parseDevicePublic,
} from "../../fleet/device.ts"
import { publicPathOf, readDeviceFile, writeDeviceFiles } from "../../fleet/device-file.ts"

const PASSPHRASE_BYTES_MAX = 1024
const PASSPHRASE_OPTION = [
  "--passphrase-file <file>",
  "file whose first line seals, or opens, the key file",
] as const
const PUBLIC_SUFFIX = ".pub"

export const partyInitCommand: CommandSpec = {
  examples: [
    "sealift party init safety",
    "sealift party init safety --out safety.key --passphrase-file phrase.txt",
  ],
  define: (command) =>
    command
      .option("-o, --out <file>", "where the key file is written (default: NAME.key)")
      .option(...PASSPHRASE_OPTION),
  async work(invocation) {
    const { args, options, out } = invocation
    const name = args[0]!
    const path = typeof options.out === "string" ? options.out : `${name}.key`
    const passphrase = await passphraseOf(invocation)
    const device = await createDevice(name)
    await onDisk(path, () => writeDeviceFiles(device, path, { passphrase }))
    const result = { ...publicOf(device), file: path, publicFile: publicPathOf(path) }
    out.result(result, () =>
      [
        `${path}      signs for ${name}: keep it to yourself${passphrase === undefined ? "; it has no passphrase" : ""}`,
        `${publicPathOf(path)}  is for whoever writes the policy that names ${name}`,
        `key ${device.key}`,
      ].join("\n"),
    )
  },
}

export const partyShowCommand: CommandSpec = {
  examples: ["sealift party show safety.key.pub", "sealift party show safety.key --json"],
  define: (command) => command.option(...PASSPHRASE_OPTION),
  async work(invocation) {
    const path = invocation.args[0]!
    const isSecret = !path.endsWith(PUBLIC_SUFFIX)
    const device = await onDisk(path, async () =>
      isSecret
        ? await readDeviceFile(path, () => askedPassphrase(invocation))
        : await publicAt(path),
    )
    const { party, key, recipient } = device
    invocation.out.answer(
      { ...publicOf(device), isSecret },
      [
        `party      ${party}`,
        `key        ${key}`,
        `recipient  ${recipient.slice(0, 32)}… (${recipient.length} characters)`,
      ].join("\n"),
    )
  },
}

function publicOf({ party, key, recipient }: DevicePublic): Record<string, string> {
  return { party, key, recipient }
}

async function publicAt(path: string): Promise<DevicePublic> {
  const file = await readFile(path)
  if (file.length > DEVICE_BYTES_MAX) {
    throw new CliError("USAGE_INVALID", `${path} is too large to be a device's public file`)
  }
  return parseDevicePublic(file)
}

async function askedPassphrase(invocation: Invocation): Promise<string> {
  const passphrase = await passphraseOf(invocation)
  if (passphrase !== undefined) return passphrase
  const message = "the key file has a passphrase; name the file that holds it by --passphrase-file"
  throw new CliError("USAGE_INVALID", message)
}

/** The first line of the file that was named. It is never taken from the command line itself. */
async function passphraseOf({ options }: Invocation): Promise<string | undefined> {
  const path = options.passphraseFile
  if (typeof path !== "string") return undefined
  const text = (await onDisk(path, () => readFile(path))).toString("utf8")
  const [line = ""] = text.split(/\r?\n/, 1)
  if (line !== "" && Buffer.byteLength(text) <= PASSPHRASE_BYTES_MAX) return line
  throw new CliError(
    "USAGE_INVALID",
    `${path} has no first line of 1 to ${PASSPHRASE_BYTES_MAX} bytes`,
  )
}

/** Says what the file system refused in one line. */
async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = codeOf(cause)
    if (code === "ENOENT")
      throw new CliError("USAGE_INVALID", `${path}: no such file or folder`, { cause })
    if (code === "EACCES" || code === "EPERM" || code === "EROFS" || code === "EISDIR") {
      throw new CliError("OUTPUT_UNWRITABLE", `${path} cannot be used (${code})`, { cause })
    }
    throw cause
  }
}
