/** The file of a release's own activation. */
import { describe, expect, it } from "vitest"
import { encodeActivation, parseActivation } from "../../../src/rollout/activation-field.ts"
import { parseActivationFile } from "../../../src/rollout/activation-file.ts"
import { refusal } from "../../../src/rollout/errors.ts"

describe("the file of an activation", () => {
  it("says what stands under activate of a plan", () => {
    expect(parseActivationFile({ files: "/srv/web" })).toEqual({ kind: "files", path: "/srv/web" })
    expect(parseActivationFile({ podman: { container: "web" }, timeout: "2m" })).toEqual({
      ...{ kind: "podman", container: "web", timeoutMs: 120_000 },
    })
  })

  it("is what nodes read in the statement of the release", () => {
    const refuse = refusal("PLAN_INVALID")
    for (const file of [{ files: "/srv/web" }, { exec: ["/bin/run", "x"] }, { podman: "web" }]) {
      const activation = parseActivationFile(file)
      const fields = encodeActivation(activation)
      expect(parseActivation({ fields, place: "", refuse })).toEqual(activation)
    }
  })

  it.each([
    [undefined, "missing"],
    [{}, "one of"],
    ["files", '"files" is not allowed'],
    [{ files: "srv/web" }, 'files: "srv/web" is not allowed'],
    [{ podmann: "web" }, "did you mean podman?"],
    [{ files: "/srv/web", exec: ["/bin/run"] }, "exec"],
    [{ activate: { files: "/srv/web" } }, "activate: no such key"],
  ])("that is %j is refused in words for people", (value, reason) => {
    const refused = { code: "PLAN_INVALID", message: expect.stringContaining(reason) }
    expect(() => parseActivationFile(value)).toThrow(expect.objectContaining(refused))
    expect(() => parseActivationFile(value)).toThrow(/^cannot use the activation: /)
  })
})
