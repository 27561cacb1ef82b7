/**
 * The gate's device of this node: like a party's, in a file of `DATA/fleet` (protocol/policy.md §4).
 * A host that keeps it and the secrets of epochs can open every release to a group by itself
 * (docs/threat-model.md).
 * @module
 */
import { createDevice, type DeviceKey, encodeDeviceKey, parseDeviceKey } from "./device.ts"
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
