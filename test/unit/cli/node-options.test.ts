/** The flags of a node: each sets the key of the configuration that it belongs to. */
import { Command } from "commander"
import { expect, test } from "vitest"
import { addNodeOptions, flagsOf } from "../../../src/cli/command/node-options.ts"
import { CONFIG_KEYS } from "../../../src/daemon/config-schema.ts"

const flags = CONFIG_KEYS.flatMap(({ path, flag }) =>
  flag === undefined || path === "data" ? [] : [{ path, flag }],
)

test.each(flags)("$flag sets $path", ({ path, flag }) => {
  const command = addNodeOptions(new Command())
  const option = command.options.find(({ long }) => long === flag)
  expect(option).toBeDefined()
  command.parse(option?.required === true ? [flag, "1"] : [flag], { from: "user" })
  expect(Object.keys(flagsOf(command.opts()))).toEqual([path])
})
