/**
 * What `fleet policy set` and `publish` share: parties as `NAME=FILE.pub` on the command line.
 * @module
 */
import type { PartyRequest } from "../../api/fleet-api.ts"
import { CliError } from "../../cli/errors.ts"
import { readLocalFile } from "../../cli/local-file.ts"
import { pairsOf } from "../../cli/option.ts"
import { encodeBase64 } from "../../core/byte-text.ts"
import { parseCountText } from "../../core/count-text.ts"
import { GATE } from "../../core/name.ts"
import { DEVICE_BYTES_MAX, parseDevicePublic } from "../../fleet/device.ts"
import { GATE_KEEPER } from "../../fleet/gate-device.ts"

/**
 * Reads the parties of `--party NAME=FILE.pub`; the same name again is another device of that party.
 * @throws CliError `USAGE_INVALID`; FleetError `DEVICE_INVALID`
 */
export async function partiesOf(
  option: unknown,
  thresholds: ReadonlyMap<string, number>,
  recovery: ReadonlyMap<string, readonly string[]> = new Map(),
): Promise<readonly PartyRequest[]> {
  const devices = await devicesOf(option, "--party")
  return [...devices].map(([name, files]) => {
    const [threshold, apart] = [thresholds.get(name), recovery.get(name)]
    return {
      ...{ name, devices: files },
      ...(threshold !== undefined && { threshold }),
      ...(apart !== undefined && { recovery: apart }),
    }
  })
}

/**
 * Reads the public files of an option such as `--party NAME=FILE.pub`, as base64 by name.
 * @throws as {@link partiesOf}
 */
export async function devicesOf(
  option: unknown,
  flag: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const devices = new Map<string, string[]>()
  for (const [name, path] of pairsOf(option, flag)) {
    const file = await deviceFile(path)
    const { party } = parseDevicePublic(file)
    if (party !== (name === GATE ? GATE_KEEPER : name)) {
      const message = `${flag} ${name}=${path}: that device is one of "${party}"`
      throw new CliError("USAGE_INVALID", message)
    }
    devices.set(name, [...(devices.get(name) ?? []), encodeBase64(file)])
  }
  return devices
}

/** Reads `--threshold NAME=T`. @throws CliError `USAGE_INVALID` */
export function thresholdsOf(option: unknown): ReadonlyMap<string, number> {
  const pairs = pairsOf(option, "--threshold").map(([name, text]): [string, number] => {
    const count = parseCountText(text)
    if (count !== undefined) return [name, count]
    throw new CliError(
      "USAGE_INVALID",
      `--threshold of ${name} is "${text.slice(0, 80)}"; allowed: a whole number from 1`,
    )
  })
  return new Map(pairs)
}

/** Reads the public file of a device, as base64. @throws as {@link partiesOf} */
export async function encodedDevice(path: string): Promise<string> {
  const file = await deviceFile(path)
  parseDevicePublic(file)
  return encodeBase64(file)
}

function deviceFile(path: string): Promise<Uint8Array> {
  return readLocalFile(path, DEVICE_BYTES_MAX)
}
