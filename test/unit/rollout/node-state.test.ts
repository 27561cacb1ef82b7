/** What a node keeps of its own part: what was written is read. */
import { expect, it } from "vitest"
import { encodeJson } from "../../../src/core/json.ts"
import { parseSection } from "../../../src/core/section.ts"
import { refusal } from "../../../src/rollout/errors.ts"
import {
  encodeMemory,
  NO_MEMORY,
  type NodeMemory,
  parseMemory,
  withChannel,
} from "../../../src/rollout/node-state.ts"
import { activeOf, releaseOf } from "./rollout-scene.ts"

const ACTIVE = [activeOf(releaseOf("model"))]

function read(memory: NodeMemory): NodeMemory {
  const bytes = encodeJson(encodeMemory(memory))
  return parseMemory(parseSection(bytes, { bytesMax: 2 ** 20, refuse: refusal("REPORT_INVALID") }))
}

it("remembers of however many channels those that changed last, and none on which nothing runs", () => {
  let memory = NO_MEMORY
  for (let count = 0; count < 70; count++) memory = withChannel(memory, `c${count}`, ACTIVE)
  memory = withChannel(memory, "c6", ACTIVE)
  memory = withChannel(memory, "c69", [])
  expect(read(memory)).toEqual(memory)
  expect(memory.channels.size).toBe(63)
  expect([...memory.channels.keys()].at(-1)).toBe("c6")
  memory = withChannel(withChannel(memory, "new", ACTIVE), "newer", ACTIVE)
  expect(memory.channels.size).toBe(64)
  expect([memory.channels.has("c6"), memory.channels.has("c7")]).toEqual([true, false])
})
