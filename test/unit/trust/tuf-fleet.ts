/** A fleet whose authors are those of src/trust/tuf, with named keys that everybody knows. */
import type { Metadata, Targets } from "@tufjs/models"
import { type Signer, signingKeyFromSeed } from "../../../src/trust/signing-key.ts"
import { type CreatedFleet, createFleet } from "../../../src/trust/tuf/fleet-creation.ts"
import type { FleetRepository } from "../../../src/trust/tuf/fleet-repository.ts"
import { fleetRules } from "../../../src/trust/tuf/fleet-rules.ts"
import { joinFleet } from "../../../src/trust/tuf/joining.ts"
import { memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import {
  draftTargets,
  type RoleSigners,
  signMetadata,
  type TargetsChange,
} from "../../../src/trust/tuf/tuf-author.ts"
import { TufClient } from "../../../src/trust/tuf/tuf-client.ts"
import type { DeskOptions } from "../../../src/trust/tuf/tuf-desk.ts"
import type { TufSource } from "../../../src/trust/tuf/tuf-source.ts"
import { START_MS, seedOf } from "../../support/tuf-repository.ts"

const DAY_MS = 86_400_000

export function signer(name: string): Signer {
  return signingKeyFromSeed(seedOf(name))
}

/** All keys of some names, of which `threshold` must sign. */
export function roleSigners(names: readonly string[], threshold: number): RoleSigners {
  return { keys: names.map((name) => signer(name).publicKey), threshold }
}

export const ROOT: RoleSigners = roleSigners(["root-1", "root-2", "root-3"], 2)
export const TARGETS: RoleSigners = roleSigners(["targets-1", "targets-2"], 2)
export const DESK: RoleSigners = roleSigners(["desk", "stand-by"], 1)
export const NAMES: readonly string[] = [
  ...["root-1", "root-3", "targets-1", "targets-2", "desk", "access", "plan", "acme"],
]

/** The desk at work. */
export function desk(name = "desk", nowMs: number = START_MS): DeskOptions {
  return { signers: [signer(name)], nowMs }
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function contentsOf(entries: Readonly<Record<string, string>>): Map<string, Uint8Array> {
  return new Map(Object.entries(entries).map(([path, text]) => [path, bytesOf(text)]))
}

/** A fleet with a policy, an access list and one release. */
export function newFleet(names: readonly string[] = NAMES): Promise<CreatedFleet> {
  const plan = {
    root: ROOT,
    targets: TARGETS,
    desk: DESK,
    access: roleSigners(["access"], 1),
    plan: roleSigners(["plan"], 1),
    namespaces: new Map([["acme", roleSigners(["acme"], 1)]]),
    contents: (fleet: string) =>
      contentsOf({
        "policy/acme.json": `{"fleet":"${fleet}"}`,
        "access.json": '{"access":1}',
        "releases/acme/model/1.json": '{"release":1}',
      }),
  }
  return createFleet(plan, names.map(signer), { nowMs: START_MS })
}

/** The next file of a targets role, signed. */
export async function nextFile(
  role: string,
  { targets, roles }: FleetRepository,
  { by, ...change }: Partial<TargetsChange> & { readonly by: readonly string[] },
): Promise<Metadata<Targets>> {
  const before = role === "targets" ? targets : roles.get(role)
  const draft = draftTargets(role, before, { expiresMs: START_MS + 30 * DAY_MS, ...change })
  return signMetadata(draft, by.map(signer))
}

/** A reader that has joined a fleet and refreshed from a source. */
export async function readerOf(fleet: string, source: TufSource): Promise<TufClient> {
  const options = { files: memoryFiles(), rules: fleetRules(fleet) }
  await joinFleet(source, options)
  const client = await TufClient.open({ ...options, nowMs: () => START_MS })
  await client.refresh(source)
  return client
}

/** The text of a target file that a reader finds. */
export async function textOf(
  client: TufClient,
  source: TufSource,
  path: string,
): Promise<string | undefined> {
  const target = await client.read(path, source)
  return target === undefined ? undefined : new TextDecoder().decode(target.bytes)
}
