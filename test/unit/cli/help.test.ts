/** The help: every command is listed, has an example, and takes its examples. */
import { Command } from "commander"
import { describe, expect, test } from "vitest"
import { COMMANDS, GROUPS } from "../../../src/cli/command-table.ts"
import { defineCommand } from "../../../src/cli/invocation.ts"
import { runSealift } from "./command-world.ts"

describe("help", () => {
  test("lists every command of the interface", async () => {
    const { code, stdout } = await runSealift(["--help"])
    expect(code).toBe(0)
    const names = "node status peers id config get stage ls pin unpin rm gc store limits torrent"
    const more = "fleet party publish inspect approve releases release open verify withdraw gate"
    for (const name of `${names} ${more} setup bench`.split(" ")) {
      expect(stdout).toMatch(new RegExp(`^  ${name} `, "m"))
    }
  })

  test("says what every group of commands is", () => {
    const groups = new Set(COMMANDS.flatMap(({ group }) => group ?? []))
    expect([...groups].filter((group) => GROUPS[group] === undefined)).toEqual([])
  })

  const named = COMMANDS.map((entry) => {
    const name = entry.usage.split(" ")[0]!
    return [entry.group === undefined ? name : `${entry.group} ${name}`, entry] as const
  })

  test.each(named.map(([name]) => name))(
    "of %s has an example and the common options",
    async (name) => {
      const { code, stdout, stderr } = await runSealift([...name.split(" "), "--help"])
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      expect(stdout).toContain(`Examples:\n  sealift ${name}`)
      for (const option of ["--json", "--quiet", "--data <dir>"]) expect(stdout).toContain(option)
    },
  )
  test("of every group says what it is about", () => {
    const groups = new Set(COMMANDS.flatMap(({ group }) => group ?? []))
    expect([...groups].filter((group) => GROUPS[group] === undefined)).toEqual([])
  })

  test("of a group says where examples are", async () => {
    const { stdout } = await runSealift(["fleet", "policy", "--help"])
    expect(stdout).toContain('"sealift fleet policy COMMAND --help"')
  })

  test.each(named)("of %s has examples that are accepted as written", async (name, entry) => {
    const spec = await entry.load()
    const host = { env: {}, stdout: { write() {} }, stderr: { write() {} }, exitCode: 0 }
    // One of them has another command within.
    for (const line of spec.examples.filter((text) => !text.includes("$("))) {
      const words = (line.match(/"[^"]*"|'[^']*'|\S+/g) ?? []).map((word) =>
        word.replace(/["']/g, ""),
      )
      const [program, ...rest] = words
      const own = rest.splice(0, name.split(" ").length)
      expect([program, own.join(" ")]).toEqual(["sealift", name])
      const [, ...params] = entry.usage.split(" ")
      const command = new Command(name)
      if (params.length > 0) command.arguments(params.join(" "))
      const signal = new AbortController().signal
      defineCommand(command, { ...host, signal }, { ...spec, work: async () => {} })
      await command.parseAsync(rest, { from: "user" })
    }
  })
})
