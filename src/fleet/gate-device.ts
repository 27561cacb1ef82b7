/**
 * The gate's device of this node: like a party's, in a file of `DATA/fleet` (protocol/policy.md §4).
 * A host that keeps it and the secrets of epochs can open every release to a group by itself
 * (docs/threat-model.md).
 * @module
 */
import { createDevice, type DeviceKey, encodeDeviceKey, parseDeviceKey } from "./device.ts"
import { FleetError } from "./errors.ts"
import type { FleetHome } from "./fleet-home.ts"
import { useSecret, writeNewSecret } from "./secret-file.ts"

const GATE_FILE = "gate.key"
/** No party is called `gate`: what a keeper gives to the author of a policy bears this name. */
export const GATE_KEEPER = "gate-keeper"

/**
 * Gives the gate's device.
 * @returns undefined when this node has none
 * @throws FleetError `DEVICE_KEY_INVALID`; `SECRET_FILE_INVALID` when others may read it
 */
export async function openGateDevice(
  home: Pick<FleetHome, "pathOf">,
): Promise<DeviceKey | undefined> {
  return await useSecret(home.pathOf(GATE_FILE), parseDeviceKey)
}

/** Gives the gate's device, which is made when there is none. */
export async function makeGateDevice(home: Pick<FleetHome, "pathOf">): Promise<DeviceKey> {
  const found = await openGateDevice(home)
  if (found !== undefined) return found
  const device = await createDevice(GATE_KEEPER)
  await writeNewSecret(home.pathOf(GATE_FILE), encodeDeviceKey(device))
  return (await openGateDevice(home)) ?? device
}

/**
 * Keeps a gate's device that was made elsewhere, such as one that lay apart for the loss of a keeper.
 * @param file - its key file, without a passphrase; erased
 * @throws FleetError `DEVICE_KEY_INVALID`; `DEVICE_EXISTS` when this node has another one
 */
async function takeGateDevice(
  home: Pick<FleetHome, "pathOf">,
  file: Uint8Array,
): Promise<DeviceKey> {
  try {
    const device = await parseDeviceKey(file)
    if (device.party !== GATE_KEEPER) {
      const message = `it is a device of "${device.party}"; one of the gate is of "${GATE_KEEPER}"`
      throw new FleetError("DEVICE_KEY_INVALID", message)
    }
    await writeNewSecret(home.pathOf(GATE_FILE), encodeDeviceKey(device))
    const kept = await openGateDevice(home)
    if (kept?.key === device.key) return kept
    const message = `this node keeps another device of the gate, ${kept?.key}; a node keeps one`
    throw new FleetError("DEVICE_EXISTS", message, { details: { key: kept?.key } })
  } finally {
    file.fill(0)
  }
}

/** The gate's device of a running node, which it may come to have at any time. */
export class GateDeviceHolder {
  readonly #home: Pick<FleetHome, "pathOf">
  #device: DeviceKey | undefined

  constructor(home: Pick<FleetHome, "pathOf">) {
    this.#home = home
  }

  /** What was found last; undefined: this node keeps none. */
  get current(): DeviceKey | undefined {
    return this.#device
  }

  /** Looks for it, unless it was found before. @throws as {@link openGateDevice} */
  async look(): Promise<DeviceKey | undefined> {
    this.#device ??= await openGateDevice(this.#home)
    return this.#device
  }

  /** Makes it when there is none. */
  async make(): Promise<DeviceKey> {
    this.#device ??= await makeGateDevice(this.#home)
    return this.#device
  }

  /** @throws as {@link takeGateDevice} */
  async take(file: Uint8Array): Promise<DeviceKey> {
    this.#device = await takeGateDevice(this.#home, file)
    return this.#device
  }
}
