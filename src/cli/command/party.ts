/**
 * `sealift party init NAME`, `party show FILE`: the keys of a party's device. They need no node, so
 * that they can be made where no network is.
 * @module
 */
import type { CommandSpec } from "../../cli/invocation.ts"
import { onDisk, readLocalFile } from "../../cli/local-file.ts"
import { PASSPHRASE_OPTION, passphraseOf, readDevice } from "../../cli/passphrase.ts"
import {
  createDevice,
  DEVICE_BYTES_MAX,
  type DevicePublic,
  parseDevicePublic,
} from "../../fleet/device.ts"
import { publicPathOf, writeDeviceFiles } from "../../fleet/device-file.ts"

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
    const named = `${name}=${publicPathOf(path)}`
    out.note(
      "next, on a node of the fleet, with every party in one command (it replaces the policy):",
    )
    out.note(`"sealift fleet policy set NAMESPACE --party ${named} --party …"`)
  },
}

export const partyShowCommand: CommandSpec = {
  examples: ["sealift party show safety.key.pub", "sealift party show safety.key --json"],
  define: (command) => command.option(...PASSPHRASE_OPTION),
  async work(invocation) {
    const path = invocation.args[0]!
    const isSecret = !path.endsWith(PUBLIC_SUFFIX)
    const device = isSecret ? await readDevice(invocation, path) : await publicAt(path)
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
  return parseDevicePublic(await readLocalFile(path, DEVICE_BYTES_MAX))
}
