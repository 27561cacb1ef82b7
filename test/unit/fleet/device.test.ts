/** A party's device: vectors of its public file. */
import { describe, expect, test } from "vitest"
import {
  createDevice,
  encodeDeviceKey,
  encodeDevicePublic,
  parseDeviceKey,
  parseDevicePublic,
} from "../../../src/fleet/device.ts"
import { fromBase64, vectorsOf } from "../net/vectors.ts"

describe("a device's public file", () => {
  test.each(vectorsOf("policy", "device-"))(
    "$case: $comment",
    ({ input, expect: code, output }) => {
      const read = () => parseDevicePublic(fromBase64(input.file!))
      if (code === "ok") expect(read()).toEqual(output)
      else expect(read).toThrow(expect.objectContaining({ code }))
    },
  )

  test("that was written here is read here", async () => {
    const device = await createDevice("safety")
    const { party, key, recipient } = parseDevicePublic(await encodeDevicePublic(device))
    expect({ party, key, recipient }).toEqual({
      party: "safety",
      key: device.key,
      recipient: device.recipient,
    })
  })
})

describe("a device's secrets", () => {
  test("that were written are read, and sign as before", async () => {
    const device = await createDevice("safety")
    const read = await parseDeviceKey(encodeDeviceKey(device))
    expect(read.key).toBe(device.key)
    expect(read.exportIdentity()).toBe(device.exportIdentity())
    const bytes = Buffer.from("one")
    expect(await read.signing.sign(bytes)).toEqual(await device.signing.sign(bytes))
  })

  test("do not show in JSON", async () => {
    const device = await createDevice("safety")
    const seed = Buffer.from(device.signing.exportSeed()).toString("base64")
    const shown = JSON.stringify(device)
    expect(shown).not.toContain(seed)
    expect(shown).not.toContain("AGE-SECRET-KEY")
  })

  test("cut anywhere are refused", async () => {
    const file = encodeDeviceKey(await createDevice("safety"))
    for (let end = 0; end < file.length; end += 11) {
      const code = expect.objectContaining({ code: "DEVICE_KEY_INVALID" })
      await expect(parseDeviceKey(file.subarray(0, end))).rejects.toThrow(code)
    }
  })
})
