/** What the desk publishes, and what readers find while it writes (protocol/tuf-profile.md §5). */
import { expect, test } from "vitest"
import { memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import { type Publication, writePublication } from "../../../src/trust/tuf/publication.ts"
import { draftRoot, signMetadata } from "../../../src/trust/tuf/tuf-author.ts"
import {
  type FleetChange,
  publishChange,
  renewTimestamp,
  takeOverDesk,
} from "../../../src/trust/tuf/tuf-desk.ts"
import { START_MS } from "../../support/tuf-repository.ts"
import {
  contentsOf,
  DESK,
  desk,
  newFleet,
  nextFile,
  ROOT,
  readerOf,
  roleSigners,
  signer,
  TARGETS,
} from "./tuf-fleet.ts"
import { codeOfFault } from "./tuf-reader.ts"

const DAY_MS = 86_400_000
const RELEASE = "releases/acme/model/1.json"

/** What the desk says to a change of one role. */
async function faultOf(
  change: (fleet: Awaited<ReturnType<typeof newFleet>>) => Promise<FleetChange>,
) {
  const fleet = await newFleet()
  return codeOfFault(publishChange(fleet.repository, await change(fleet), desk()))
}

test("refuses a snapshot that drops a live release, or changes it", async () => {
  const dropped = await faultOf(async ({ repository }) => {
    const file = await nextFile("releases.acme", repository, { by: ["acme"], remove: [RELEASE] })
    return { roles: new Map([["releases.acme", file]]) }
  })
  expect(dropped).toBe("TUF_RELEASE_DROPPED")
  const changed = await faultOf(async ({ repository }) => {
    const contents = contentsOf({ [RELEASE]: '{"release":"other"}' })
    const file = await nextFile("releases.acme", repository, { by: ["acme"], add: contents })
    return { roles: new Map([["releases.acme", file]]), contents }
  })
  expect(changed).toBe("TUF_RELEASE_DROPPED")
  const undelegated = await faultOf(async ({ repository }) => {
    const delegate = new Map([["releases.acme", undefined]])
    const by = ["targets-1", "targets-2"]
    return { targets: await nextFile("targets", repository, { by, delegate }) }
  })
  expect(undelegated).toBe("TUF_RELEASE_DROPPED")
})

test("drops a release that may be dropped, and a namespace whose releases all may", async () => {
  const mayDrop = new Set([RELEASE])
  const dropped = await faultOf(async ({ repository }) => {
    const file = await nextFile("releases.acme", repository, { by: ["acme"], remove: [RELEASE] })
    return { roles: new Map([["releases.acme", file]]), mayDrop }
  })
  expect(dropped).toBeUndefined()
  const fleet = await newFleet()
  const delegate = new Map([["releases.acme", undefined]])
  const by = ["targets-1", "targets-2"]
  const targets = await nextFile("targets", fleet.repository, { by, delegate })
  const files = memoryFiles()
  await writePublication(fleet, files)
  const client = await readerOf(fleet.fleet, files)
  const next = await publishChange(fleet.repository, { targets, mayDrop }, desk())
  await writePublication(next, files)
  await client.refresh(files)
  expect(await client.find(RELEASE)).toBeUndefined()
})

test("refuses a file that is not newer than the published one", async () => {
  const fault = await faultOf(async ({ repository }) => {
    const file = repository.roles.get("access")!
    return { roles: new Map([["access", await signMetadata(file, [signer("access")])]]) }
  })
  expect(fault).toBe("TUF_ROLLBACK")
})

test("refuses a root that does not follow the published one", async () => {
  const fault = await faultOf(async ({ repository }) => {
    const roles = { root: ROOT, targets: TARGETS, desk: DESK }
    const later = draftRoot(draftRoot(repository.root, roles, 0), roles, START_MS + DAY_MS)
    return { root: await signMetadata(later, [signer("root-1"), signer("root-2")]) }
  })
  expect(fault).toBe("TUF_ROLLBACK")
})

test("refuses a file that has expired already", async () => {
  const fault = await faultOf(async ({ repository }) => {
    const file = await nextFile("access", repository, { by: ["access"], expiresMs: START_MS })
    return { roles: new Map([["access", file]]) }
  })
  expect(fault).toBe("TUF_EXPIRED")
})

test("refuses a target file whose bytes are missing, or are others", async () => {
  for (const contents of [new Map(), contentsOf({ "access.json": "other" })]) {
    const fault = await faultOf(async ({ repository }) => {
      const add = contentsOf({ "access.json": '{"access":2}' })
      const file = await nextFile("access", repository, { by: ["access"], add })
      return { roles: new Map([["access", file]]), contents }
    })
    expect(fault).toBe("TUF_TARGET_WRONG")
  }
})

test("refuses new targets' keys without a targets file that they have signed", async () => {
  const next = roleSigners(["targets-3"], 1)
  const rotate = async (fleet: Awaited<ReturnType<typeof newFleet>>) => {
    const roles = { root: ROOT, targets: next, desk: DESK }
    const draft = draftRoot(fleet.repository.root, roles, START_MS + DAY_MS)
    return signMetadata(draft, [signer("root-1"), signer("root-2")])
  }
  const alone = await faultOf(async (fleet) => ({ root: await rotate(fleet) }))
  expect(alone).toBe("TUF_SIGNATURES_MISSING")
  const both = await faultOf(async (fleet) => {
    const by = ["targets-1", "targets-2", "targets-3"]
    return {
      root: await rotate(fleet),
      targets: await nextFile("targets", fleet.repository, { by }),
    }
  })
  expect(both).toBeUndefined()
})

test("lets a stand-by renew the timestamp over an unchanged snapshot, and no longer", async () => {
  const { repository } = await newFleet()
  const next = await renewTimestamp(repository, desk("stand-by", START_MS + DAY_MS))
  expect(next.files.map(({ name }) => name)).toEqual(["metadata/timestamp.json"])
  expect(next.repository.snapshot).toBe(repository.snapshot)
  expect(next.repository.timestamp.signed.snapshotMeta).toEqual(
    repository.timestamp.signed.snapshotMeta,
  )
  const late = renewTimestamp(repository, desk("stand-by", START_MS + 8 * DAY_MS))
  expect(await codeOfFault(late)).toBe("TUF_EXPIRED")
  const stranger = renewTimestamp(repository, desk("access"))
  expect(await codeOfFault(stranger)).toBe("TUF_SIGNATURES_MISSING")
})

test("leaves the old desk behind for good when another takes over", async () => {
  const fleet = await newFleet()
  const files = memoryFiles()
  await writePublication(fleet, files)
  const client = await readerOf(fleet.fleet, files)
  const taken = await takeOverDesk(fleet.repository, {}, desk("stand-by"))
  expect(taken.repository.snapshot.signed.version).toBe(1_001)
  await writePublication(taken, files)
  await client.refresh(files)
  // The old desk does not know, and goes on from what it wrote last.
  const stale = await publishChange(fleet.repository, {}, desk())
  await writePublication(stale, files)
  expect(await codeOfFault(client.refresh(files))).toBe("TUF_ROLLBACK")
})

/** Publications of every kind, each over the same fleet. */
async function changeOfAll(fleet: Awaited<ReturnType<typeof newFleet>>): Promise<Publication> {
  const { repository } = fleet
  const roles = {
    root: roleSigners(["root-4", "root-5"], 2),
    targets: roleSigners(["targets-3"], 1),
    desk: roleSigners(["desk-2"], 1),
  }
  const draft = draftRoot(repository.root, roles, START_MS + 100 * DAY_MS)
  const root = await signMetadata(draft, ["root-1", "root-2", "root-4", "root-5"].map(signer))
  const targets = await nextFile("targets", repository, {
    by: ["targets-1", "targets-2", "targets-3"],
  })
  const contents = contentsOf({ "access.json": '{"access":2}' })
  const access = await nextFile("access", repository, { by: ["access"], add: contents })
  const change = { root, targets, roles: new Map([["access", access]]), contents }
  const signers = [signer("desk"), signer("desk-2")]
  return publishChange(repository, change, { signers, nowMs: START_MS })
}

test("leaves readers the old state or the new one, wherever its writing is cut off", async () => {
  const fleet = await newFleet()
  const next = await changeOfAll(fleet)
  expect(next.files.map(({ name }) => name.replace(/[0-9a-f]{64}/, "*"))).toEqual([
    "targets/*.access.json",
    "metadata/2.access.json",
    "metadata/2.targets.json",
    "metadata/2.snapshot.json",
    "metadata/timestamp.json",
    "metadata/2.root.json",
  ])
  for (let written = 0; written <= next.files.length; written++) {
    const files = memoryFiles()
    await writePublication(fleet, files)
    const old = await readerOf(fleet.fleet, files)
    await writePublication({ ...next, files: next.files.slice(0, written) }, files)
    const fresh = await readerOf(fleet.fleet, files)
    await old.refresh(files)
    const isNew = written >= 5
    for (const client of [old, fresh]) {
      const target = await client.read("access.json", files)
      const text = new TextDecoder().decode(target!.bytes)
      expect([written, text]).toEqual([written, isNew ? '{"access":2}' : '{"access":1}'])
      expect(client.faults).toEqual([])
    }
    // What was cut off is completed by writing it again.
    await writePublication(next, files)
    await old.refresh(files)
    expect(old.accepted!.get("root")!.used!.metadata.signed.version).toBe(2)
  }
})

test("shows nothing of a fleet before all of it is written", async () => {
  const fleet = await newFleet()
  for (let written = 0; written < fleet.files.length; written++) {
    const files = memoryFiles()
    await writePublication({ ...fleet, files: fleet.files.slice(0, written) }, files)
    expect(await codeOfFault(readerOf(fleet.fleet, files))).toBe("SOURCE_UNAVAILABLE")
  }
})
