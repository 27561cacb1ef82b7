/**
 * `sealift fleet hold`, `fleet sign`, `fleet submit`: changes, and a fleet's first files, that keys in
 * several places sign, away from every node.
 * @module
 */

import type { DraftRequest, RoleKeyReport } from "../../api/fleet-api.ts"
import { addSigningOptions, apart, openDraftSigner } from "../../cli/draft-signer.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { readLocalFile, writeLocalFile } from "../../cli/local-file.ts"
import { collect, countOf, listOf, requiredText, textOf } from "../../cli/option.ts"
import { systemClock } from "../../core/clock.ts"
import { DEVICE_BYTES_MAX, parseDevicePublic } from "../../fleet/device.ts"
import { mergeDrafts } from "../../fleet/draft-merging.ts"
import { readDraft } from "../../fleet/draft-reading.ts"
import {
  type DraftStanding,
  isSigned,
  signaturesText,
  signDraft,
  standingOfDraft,
} from "../../fleet/draft-signing.ts"
import { describeDraft } from "../../fleet/draft-summary.ts"
import type { DraftReceipt, FleetReport } from "../../fleet/fleet-desk.ts"
import {
  DRAFT_BYTES_MAX,
  encodeRoleDraft,
  isFounding,
  parseRoleDraft,
  type RoleDraft,
} from "../../fleet/role-draft.ts"
import { type PublicKey, parsePublicKey } from "../../trust/public-key.ts"
import { isRootRole } from "../../trust/tuf/fleet-role.ts"

const FOUNDED_NOTE = [
  "the fleet is founded, and this node is its only anchor: the keys of desk, access, gate and groups",
  "lie on this machine; it can sign no root and no targets",
].join("\n")
const ERASED_NOTE =
  "keys of this node that count no more, if any, were erased; destroy every copy of them"
const KEY_HEX = /^[0-9a-f]{64}$/

export const fleetKeyCommand: CommandSpec = {
  examples: ["sealift fleet key desk", "sealift fleet key access"],
  async work({ args, out, connect }) {
    const node = await connect()
    const report = await node.ask<RoleKeyReport>("POST", "/v1/fleet/key", { role: args[0]! })
    const { role, key } = report
    out.answer(report, key)
    const { holders } = await node.ask<FleetReport>("GET", "/v1/fleet")
    const keys = holders.find((one) => one.role === role)?.keys ?? []
    if (keys.includes(key)) {
      out.note(
        `the fleet names it for ${role}: it is the OWNKEY of a stand-by's "sealift fleet hold"`,
      )
      return
    }
    const signedBy = isRootRole(role) ? "root" : "targets"
    out.note(
      `it counts for nothing until the fleet names it; next, where the keys of ${signedBy} are:`,
    )
    out.note(`"sealift fleet hold ${role} --by OWNKEY --by ${key} --threshold 1 -o FILE"`)
  },
}

export const fleetHoldCommand: CommandSpec = {
  examples: [
    "sealift fleet hold desk --by OWNKEY --by STANDBYKEY --threshold 1 -o desk.draft",
    "sealift fleet hold root targets --by alice.key.pub --by bob.key.pub --by carol.key.pub --threshold 2 -o held.draft",
  ],
  define: (command) =>
    command
      .option("--by <file>", "a key: its public file, or its 64 hex digits; repeatable", collect)
      .option("--threshold <count>", "how many of them must sign (default: all)")
      .option("-o, --out <file>", "where the draft is written"),
  async work(invocation) {
    const { args, options } = invocation
    const keys = await Promise.all(listOf(options.by).map(holderKey))
    if (keys.length === 0) {
      throw new CliError("USAGE_INVALID", "no key is named; give --by FILE.pub for each")
    }
    const threshold = countOf(options.threshold, "--threshold") ?? keys.length
    await writeDraft(invocation, { act: "hold", roles: args, keys, threshold })
  },
}

/** Reads a key that shall hold a role: its public file, or its digits. @throws CliError, FleetError */
export async function holderKey(text: string): Promise<PublicKey> {
  if (KEY_HEX.test(text)) return parsePublicKey(text)
  return parseDevicePublic(await readLocalFile(text, DEVICE_BYTES_MAX)).key
}

/** Has a node draft something, and writes it where `--out` or `--draft` says. */
export async function writeDraft(invocation: Invocation, request: DraftRequest): Promise<void> {
  const { options, out, connect } = invocation
  const path = requiredText(options.out ?? options.draft, "--out")
  const node = await connect()
  const file = await node.file("POST", "/v1/fleet/draft", request)
  await writeLocalFile(path, file)
  const draft = parseRoleDraft(file)
  const base = await readDraft(draft, apart(draft.fleet), systemClock.now())
  const standing = standingOfDraft(draft.change, base)
  const result = { file: path, fleet: draft.fleet, standing }
  out.note(describeDraft(draft, base).join("\n"))
  if (isFounding(draft)) {
    out.answer(result, draft.fleet)
    out.note(`wrote ${path}; who signs it compares the fleet's id with the one above`)
  } else out.result(result, () => `wrote ${path}`)
  noteStanding(invocation, { draft, standing, path })
}

export const fleetSignCommand: CommandSpec = {
  examples: [
    "sealift fleet sign held.draft --dry-run",
    "sealift fleet sign held.draft --key alice.key -o alice.draft",
    "sealift fleet sign lab.draft --key alice.key --fleet FLEETID -o alice.draft",
    "sealift fleet sign held.draft --signer ./hsm-signer --state ./hsm.state -o hsm.draft",
  ],
  define: (command) => addSigningOptions(command, "show what the draft changes; sign nothing"),
  async work(invocation) {
    const { args, options, out, signal } = invocation
    const draft = parseRoleDraft(await readLocalFile(args[0]!, DRAFT_BYTES_MAX))
    if (options.dryRun === true) {
      const base = await readDraft(draft, apart(textOf(options.fleet)), systemClock.now())
      const standing = standingOfDraft(draft.change, base)
      const changes = describeDraft(draft, base)
      out.answer({ fleet: draft.fleet, changes, standing }, changes.join("\n"))
      noteStanding(invocation, { draft, standing, path: args[0]! })
      return
    }
    const target = requiredText(options.out, "--out")
    const { signer, home } = await openDraftSigner(invocation, draft.fleet)
    const place = { ...home, expectedFleet: textOf(options.fleet) }
    const base = await readDraft(draft, place, systemClock.now())
    out.note(describeDraft(draft, base).join("\n"))
    const signing = { base, state: home.state, isAgain: options.again === true, signal }
    const signed = await signDraft(draft, signer, signing)
    await writeLocalFile(target, encodeRoleDraft(signed.draft))
    const standing = standingOfDraft(signed.draft.change, base)
    const { roles } = signed
    const result = { file: target, fleet: draft.fleet, key: signer.publicKey, roles, standing }
    out.result(result, () => `signed ${roles.join(" and ")}: wrote ${target}`)
    noteStanding(invocation, { draft, standing, path: target })
  },
}

export const fleetSubmitCommand: CommandSpec = {
  examples: ["sealift fleet submit alice.draft bob.draft"],
  runsNode: true,
  async work({ args, out, connect }) {
    const files = await Promise.all(args.map((path) => readLocalFile(path, DRAFT_BYTES_MAX)))
    const draft: RoleDraft = mergeDrafts(files.map(parseRoleDraft))
    const node = await connect()
    const body = encodeRoleDraft(draft)
    const receipt = await node.ask<DraftReceipt>("POST", "/v1/fleet/submit", body)
    out.result(receipt, () => `${receipt.roles.join(" and ")}: what was signed counts now`)
    out.note(`fleet ${receipt.fleet}`)
    out.note(isFounding(draft) ? FOUNDED_NOTE : ERASED_NOTE)
    out.note('next: "sealift fleet show" says who signs for what, and until when it is good')
  },
}

function noteStanding(
  { out }: Invocation,
  {
    draft,
    standing,
    path,
  }: {
    readonly draft: RoleDraft
    readonly standing: readonly DraftStanding[]
    readonly path: string
  },
): void {
  for (const row of standing) {
    const words = row.by === "now" ? "by the keys that count now" : "by those that will count"
    out.note(`${row.role}: ${signaturesText(row, words)}`)
  }
  const isFirst = isFounding(draft)
  const desk = isFirst ? `on node ${draft.founder}` : "where the desk is"
  const named = isFirst ? " --fleet FLEETID" : ""
  out.note(
    standing.every(isSigned)
      ? `next, ${desk}: "sealift fleet submit ${path}"`
      : `next, where another key is: "sealift fleet sign ${path} --key FILE${named} -o SIGNED"`,
  )
}
