/** What a node must not forget of its fleet, when several things are accepted at one moment. */
import { afterAll, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { openFleetHome } from "../../../src/fleet/fleet-home.ts"
import { FleetMemory } from "../../../src/fleet/fleet-memory.ts"
import { openWorkspace } from "../../support/workspace.ts"

const workspace = openWorkspace("fleet-memory")
afterAll(() => workspace.close())

test("what is accepted at one moment is all on the disk, each before it counts", async () => {
  const home = openFleetHome(await workspace.folder("fleet"))
  const memory = await FleetMemory.open(home)
  const mark = { version: 5, digest: digestOf(Buffer.from("five")) }
  const older = { version: 4, digest: digestOf(Buffer.from("four")) }
  const names = Array.from({ length: 40 }, (_, index) => `space-${index}`)
  const accepting = names.map((name) => memory.acceptPolicy(name, mark))
  // Whoever asks while the first is on its way must find it on the disk afterwards, too.
  await memory.acceptPolicy(names[0]!, mark)
  const early = await FleetMemory.open(home)
  await expect(early.acceptPolicy(names[0]!, older)).rejects.toMatchObject({
    code: "POLICY_ROLLBACK",
  })
  await Promise.all(accepting)
  const again = await FleetMemory.open(home)
  for (const name of names) {
    await expect(again.acceptPolicy(name, older), name).rejects.toMatchObject({
      code: "POLICY_ROLLBACK",
    })
  }
})
