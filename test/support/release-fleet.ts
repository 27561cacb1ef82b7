/**
 * A fleet of real nodes as its operator makes it: by commands, with parties whose keys are files.
 * @module
 */
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "vitest"
import { systemClock } from "../../src/core/clock.ts"
import { silentLogger } from "../../src/core/log.ts"
import { AccessAuthor } from "../../src/fleet/access-author.ts"
import type { AccessDraft } from "../../src/fleet/access-draft.ts"
import { FleetAuthor } from "../../src/fleet/fleet-author.ts"
import { openFleetHome } from "../../src/fleet/fleet-home.ts"
import { FleetMember } from "../../src/fleet/fleet-member.ts"
import { RoleRing } from "../../src/fleet/role-ring.ts"
import { type Outcome, run } from "./process.ts"
import { type NodeOptions, type SealiftNode, startNode } from "./sealift-node.ts"
import type { Workspace } from "./workspace.ts"

const COMMAND = fileURLToPath(new URL("../../bin/sealift.js", import.meta.url))

/** Runs a command of the command line that needs no node. */
export const apart = (...argv: readonly string[]): Promise<Outcome> =>
  run([process.execPath, COMMAND, ...argv], { mayFail: true, timeoutMs: 60_000 })

/** Gives what a command printed, which must have worked. */
export async function done(outcome: Promise<Outcome>): Promise<string> {
  const { code, stdout, stderr } = await outcome
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  return stdout.trim()
}

/** Gives the line with which a command was refused, which it must have been with this code. */
export async function refused(outcome: Promise<Outcome>, code: string): Promise<string> {
  const { code: exit, stdout, stderr } = await outcome
  const line = new RegExp(`^sealift: [^\\n]+ \\[${code}\\]\\n$`)
  expect({ stderr, stdout }).toEqual({ stderr: expect.stringMatching(line), stdout: "" })
  expect(exit).not.toBe(0)
  return stderr
}

/** Gives the SHA-256 of each file below a folder. */
export async function digestsOf(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = names.filter((entry) => entry.isFile())
  const rows = files.map(async (entry) => {
    const path = join(entry.parentPath, entry.name)
    const hash = createHash("sha256").update(await readFile(path))
    return [path.slice(folder.length + 1), hash.digest("hex")] as const
  })
  return Object.fromEntries((await Promise.all(rows)).toSorted())
}

/** A fleet whose first node is root, desk, gate and anchor. */
export class ReleaseFleet {
  readonly workspace: Workspace
  /** Its first node; another process once it was started again. */
  anchor: SealiftNode
  readonly #parties: string

  /** Starts the first node of a fleet with a policy for `acme`. */
  static async found(
    workspace: Workspace,
    { parties, ...options }: Partial<NodeOptions> & { readonly parties: readonly string[] },
  ): Promise<ReleaseFleet> {
    const anchor = await startNode(workspace, { name: "anchor", ...options })
    await done(anchor.sealift("fleet", "init", "--name", "lab"))
    const fleet = new ReleaseFleet(workspace, anchor, await workspace.folder("parties"))
    for (const party of parties) await fleet.makeParty(party)
    await fleet.setPolicy(anchor, parties)
    return fleet
  }

  private constructor(workspace: Workspace, anchor: SealiftNode, parties: string) {
    this.workspace = workspace
    this.anchor = anchor
    this.#parties = parties
  }

  keyOf(party: string): string {
    return join(this.#parties, `${party}.key`)
  }

  /** Makes a device of a party. @param device - its file's name, where it is not the party's */
  async makeParty(party: string, device: string = party): Promise<void> {
    await done(apart("party", "init", party, "--out", this.keyOf(device)))
  }

  async setPolicy(node: SealiftNode, parties: readonly string[]): Promise<void> {
    const named = parties.flatMap((party) => ["--party", `${party}=${this.keyOf(party)}.pub`])
    await done(node.sealift("fleet", "policy", "set", "acme", ...named))
  }

  /** Starts a node and lets it in by an invite. */
  async join(name: string, ...flags: readonly string[]): Promise<SealiftNode> {
    return this.joinAs({ name }, ...flags)
  }

  async joinAs(options: NodeOptions, ...flags: readonly string[]): Promise<SealiftNode> {
    const node = await startNode(this.workspace, options)
    const token = await done(this.anchor.sealift("fleet", "invite", ...flags))
    await done(node.sealift("fleet", "join", token))
    return node
  }

  async approve(node: SealiftNode, ref: string, parties: readonly string[]): Promise<void> {
    for (const party of parties) {
      await done(node.sealift("approve", ref, "--key", this.keyOf(party)))
    }
  }

  /** A path that nothing is at. */
  path(name: string): string {
    return join(this.workspace.root, name)
  }
}

/** Signs a change of the access list on a node that is stopped: there is no command for its rules. */
export async function editAccess(
  { data, peerId }: Pick<SealiftNode, "data" | "peerId">,
  edit: (draft: AccessDraft) => AccessDraft,
): Promise<void> {
  const home = openFleetHome(join(data, "fleet"))
  const record = await home.readRecord()
  if (record === undefined) throw new Error(`${data} is in no fleet`)
  const deps = { home, clock: systemClock, log: silentLogger }
  const member = await FleetMember.open({ ...deps, peer: peerId }, record)
  const author = new FleetAuthor({ ...deps, member, ring: new RoleRing(home) })
  const needs = () => undefined
  const access = new AccessAuthor({ ...deps, member, author, needs })
  await access.publish(async ({ list }) => edit(list))
}
