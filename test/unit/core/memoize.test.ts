/** The bounded memory of a function. */
import { expect, test } from "vitest"
import { memoize } from "../../../src/core/memoize.ts"

/** Counts how often each key was asked for. */
function counted<Value>(countMax: number, make: (key: string) => Value) {
  const asked: string[] = []
  const get = memoize((key: string) => {
    asked.push(key)
    return make(key)
  }, countMax)
  return { get, asked }
}

test("asks once for what it knows", () => {
  const { get, asked } = counted(2, (key) => `${key}!`)
  expect([get("a"), get("a"), get("b"), get("a")]).toEqual(["a!", "a!", "b!", "a!"])
  expect(asked).toEqual(["a", "b"])
})

test("lets go of the oldest, and keeps no more than its bound", () => {
  const { get, asked } = counted(2, (key) => `${key}!`)
  for (const key of ["a", "b", "c", "b", "a"]) get(key)
  expect(asked).toEqual(["a", "b", "c", "a"])
})

test("remembers neither what is undefined nor what was thrown", () => {
  const { get, asked } = counted(2, (key) => {
    if (key === "bad") throw new Error(key)
    return undefined
  })
  expect([get("none"), get("none")]).toEqual([undefined, undefined])
  for (const _ of [1, 2]) expect(() => get("bad")).toThrow("bad")
  expect(asked).toEqual(["none", "none", "bad", "bad"])
})
