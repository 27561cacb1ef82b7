/** What a reader of a fleet's repository accepts, keeps and finds (protocol/tuf-profile.md §5). */
import { expect, test } from "vitest"
import { fleetRules } from "../../../src/trust/tuf/fleet-rules.ts"
import { joinFleet } from "../../../src/trust/tuf/joining.ts"
import { memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import { TufClient } from "../../../src/trust/tuf/tuf-client.ts"
import { mirrorOf } from "../../../src/trust/tuf/tuf-mirror.ts"
import { releasePaths, TufRepository } from "../../support/tuf-repository.ts"
import { codeOfFault, sourceOf, TestReader } from "./tuf-reader.ts"

const DAY_MS = 86_400_000

async function refreshed(repository: TufRepository): Promise<TestReader> {
  const reader = await TestReader.join(repository)
  await reader.refresh()
  return reader
}

test("reads the target files of every role", async () => {
  const reader = await refreshed(new TufRepository())
  expect(await reader.text("policy/acme.json")).toBe('{"policy":1}')
  expect(await reader.text("access.json")).toBe('{"access":1}')
  expect(await reader.text("releases/acme/model/1.json")).toBe('{"release":1}')
  expect(await reader.text("releases/acme/model/2.json")).toBeUndefined()
  expect(await reader.text("constructor")).toBeUndefined()
})

test("lists what is signed, with the role and the digest", async () => {
  const reader = await refreshed(new TufRepository())
  const listed = reader.client.list().map(({ path, role, isStale }) => ({ path, role, isStale }))
  expect(listed).toEqual([
    { path: "policy/acme.json", role: "targets", isStale: false },
    { path: "access.json", role: "access", isStale: false },
    { path: "releases/acme/model/1.json", role: "releases.acme", isStale: false },
  ])
})

test("takes the time that it is given, not the machine's", async () => {
  const repository = new TufRepository()
  const reader = await TestReader.join(repository)
  repository.nowMs += 2 * DAY_MS
  expect(await reader.refreshFault()).toBe("TUF_EXPIRED")
  repository.nowMs -= 2 * DAY_MS
  await reader.refresh()
  expect(reader.version("timestamp")).toBe(1)
})

test("follows a change, and forgets target files that nobody signs any more", async () => {
  const repository = new TufRepository()
  const reader = await refreshed(repository)
  expect(await reader.text("access.json")).toBe('{"access":1}')
  repository.add("access", "access.json", '{"access":2}')
  repository.publish("access")
  await reader.refresh()
  expect(await reader.text("access.json")).toBe('{"access":2}')
  expect(await reader.files.list("targets")).toHaveLength(1)
})

test("does not join another fleet than the pinned one", async () => {
  const repository = new TufRepository()
  const options = { files: memoryFiles(), rules: fleetRules("0".repeat(64)) }
  const join = joinFleet(sourceOf(repository), options)
  expect(await codeOfFault(join)).toBe("FLEET_WRONG")
  expect(options.files.contents.size).toBe(0)
})

test("stays where it is when it joins again", async () => {
  const repository = new TufRepository()
  const reader = await refreshed(repository)
  repository.publish("root")
  await reader.refresh()
  await joinFleet(reader.source, { files: reader.files, rules: fleetRules(repository.fleet) })
  await reader.restart()
  repository.files.delete("metadata/2.root.json")
  await reader.refresh()
  expect(reader.version("root")).toBe(2)
})

test("does not join a second fleet where it has joined one", async () => {
  const reader = await refreshed(new TufRepository())
  const other = new TufRepository({ isSmall: true })
  const options = { files: reader.files, rules: fleetRules(other.fleet) }
  expect(await codeOfFault(joinFleet(sourceOf(other), options))).toBe("FLEET_WRONG")
})

test("does not open what another fleet's reader keeps", async () => {
  const reader = await refreshed(new TufRepository())
  const rules = fleetRules("0".repeat(64))
  const open = TufClient.open({ files: reader.files, rules, nowMs: () => 0 })
  expect(await codeOfFault(open)).toBe("FLEET_WRONG")
})

test("opens nothing where no root was trusted", async () => {
  const rules = fleetRules(new TufRepository().fleet)
  const open = TufClient.open({ files: memoryFiles(), rules, nowMs: () => 0 })
  expect(await codeOfFault(open)).toBe("TUF_ROOT_LOST")
})

test("gives after a restart what was accepted, without any source", async () => {
  const reader = await refreshed(new TufRepository())
  await reader.text("access.json")
  await reader.restart()
  const target = await reader.client.read("access.json")
  expect(Buffer.from(target!.bytes).toString()).toBe('{"access":1}')
  expect(target!.isStale).toBe(false)
  // This one was never read, so its bytes are not here.
  expect(await reader.client.read("policy/acme.json")).toBeUndefined()
})

test("keeps what was accepted when everything has expired, and calls it stale", async () => {
  const repository = new TufRepository()
  const reader = await refreshed(repository)
  await reader.text("access.json")
  repository.nowMs += 2 * DAY_MS
  expect(await reader.refreshFault()).toBe("TUF_EXPIRED")
  const target = await reader.client.read("access.json")
  expect(target).toMatchObject({ isStale: true, roleVersion: 1 })
  await reader.restart()
  expect(await reader.client.read("access.json")).toMatchObject({ isStale: true })
})

test("lets a delegated role that has expired stop nothing but itself", async () => {
  const repository = new TufRepository()
  const reader = await refreshed(repository)
  repository.nowMs += 20 * DAY_MS
  repository.add("releases.acme", "releases/acme/model/2.json", '{"release":2}')
  repository.publish("releases.acme")
  await reader.refresh()
  expect(await reader.client.find("access.json")).toMatchObject({ isStale: true })
  const release = await reader.client.find("releases/acme/model/2.json")
  expect(release).toMatchObject({ isStale: false, roleVersion: 2 })
})

test("keeps the older file of a role whose newest one is refused, and calls it stale", async () => {
  const repository = new TufRepository()
  const reader = await refreshed(repository)
  repository.signers.access = []
  repository.add("access", "access.json", '{"access":2}')
  repository.publish("access")
  await reader.refresh()
  expect(reader.client.faults).toEqual([{ role: "access", code: "TUF_SIGNATURES_MISSING" }])
  expect(await reader.text("access.json")).toBe('{"access":1}')
  expect(await reader.client.find("access.json")).toMatchObject({ isStale: true, roleVersion: 1 })
  await reader.restart()
  expect(await reader.client.find("access.json")).toMatchObject({ isStale: true, roleVersion: 1 })
})

test("drops the older file of a role whose keys count no more", async () => {
  const repository = new TufRepository()
  const reader = await refreshed(repository)
  repository.delegate("releases.acme", ["acme-2"], releasePaths("acme"))
  repository.publish("targets")
  await reader.refresh()
  expect(reader.client.faults).toEqual([{ role: "releases.acme", code: "TUF_SIGNATURES_MISSING" }])
  expect(await reader.client.find("releases/acme/model/1.json")).toBeUndefined()
  expect(await reader.text("access.json")).toBe('{"access":1}')
})

test("takes a role that is delegated and has no file yet", async () => {
  const repository = new TufRepository()
  const reader = await refreshed(repository)
  repository.delegate("releases.beta", ["beta"], releasePaths("beta"))
  repository.publish("targets")
  await reader.refresh()
  expect(reader.version("targets")).toBe(2)
  expect(reader.client.faults).toEqual([])
})

test("lets refreshes wait for each other", async () => {
  const repository = new TufRepository()
  const reader = await TestReader.join(repository)
  const asked: string[] = []
  const slow = (by: string) => ({
    read: async (name: string) => {
      await new Promise((resolve) => setImmediate(resolve))
      asked.push(by)
      return repository.files.get(name)
    },
  })
  await Promise.all(["a", "b", "c"].map((by) => reader.client.refresh(slow(by))))
  expect(asked.toSorted()).toEqual(asked)
  expect(new Set(asked)).toEqual(new Set(["a", "b", "c"]))
})

test("refreshes though the refresh before failed", async () => {
  const reader = await TestReader.join(new TufRepository())
  const failing = codeOfFault(reader.client.refresh({ read: async () => undefined }))
  await reader.refresh()
  expect(await failing).toBe("SOURCE_UNAVAILABLE")
})

test("ends with the reason of the signal", async () => {
  const reader = await TestReader.join(new TufRepository())
  const reason = new Error("enough")
  const refresh = reader.client.refresh(reader.source, { signal: AbortSignal.abort(reason) })
  await expect(refresh).rejects.toBe(reason)
  const controller = new AbortController()
  const asked: string[] = []
  const source = {
    read: async (name: string) => {
      asked.push(name)
      controller.abort(reason)
      throw new Error("the connection was closed")
    },
  }
  const second = reader.client.refresh(source, { signal: controller.signal })
  await expect(second).rejects.toBe(reason)
  expect(asked).toEqual(["metadata/2.root.json"])
})

test("says that a source is unavailable when it fails or has not what it must have", async () => {
  const repository = new TufRepository()
  const reader = await TestReader.join(repository)
  const cause = new Error("connection reset")
  const broken = { read: () => Promise.reject(cause) }
  const refresh = reader.client.refresh(broken)
  await expect(refresh).rejects.toMatchObject({ code: "SOURCE_UNAVAILABLE", cause })
  for (const name of ["timestamp", "1.snapshot", "1.targets", "1.access"]) {
    const files = new Map(repository.files)
    files.delete(`metadata/${name}.json`)
    const fault = await codeOfFault(reader.client.refresh(sourceOf({ files })))
    expect([name, fault]).toEqual([name, "SOURCE_UNAVAILABLE"])
  }
  expect(reader.client.accepted).toBeUndefined()
})

test("is as good a source for others as the one it read from", async () => {
  const repository = new TufRepository()
  const reader = await refreshed(repository)
  for (const { path } of reader.client.list()) await reader.text(path)
  repository.publish("root")
  await reader.refresh()
  const mirror = mirrorOf(reader.client, reader.files)
  const options = { files: memoryFiles(), rules: fleetRules(repository.fleet) }
  await joinFleet(mirror, options)
  const other = await TufClient.open({ ...options, nowMs: () => repository.nowMs })
  await other.refresh(mirror)
  expect(other.list()).toEqual(reader.client.list())
  const target = await other.read("policy/acme.json", mirror)
  expect(Buffer.from(target!.bytes).toString()).toBe('{"policy":1}')
  expect(await mirror.read("metadata/9.root.json", { bytesMax: 1 })).toBeUndefined()
})

test("shows others also the role that it refuses itself", async () => {
  const repository = new TufRepository()
  const reader = await refreshed(repository)
  repository.signers.access = []
  repository.publish("access")
  await reader.refresh()
  const mirror = mirrorOf(reader.client, reader.files)
  const other = await TestReader.join(repository)
  await other.client.refresh(mirror)
  expect(other.client.faults).toEqual([{ role: "access", code: "TUF_SIGNATURES_MISSING" }])
})
