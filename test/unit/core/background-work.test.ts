/** What a room does that nobody waits for. */
import { expect, test } from "vitest"
import { BackgroundWork } from "../../../src/core/background-work.ts"

test("a stop waits for what goes on, and for what that has begun", async () => {
  const work = new BackgroundWork(() => {})
  const done: string[] = []
  const gate = Promise.withResolvers<void>()
  void work.run(async () => {
    void work.run(async () => {
      await gate.promise
      done.push("inner")
    })
    done.push("outer")
  })
  const stopped = work.stop(new Error("stopped")).then(() => done.push("stopped"))
  gate.resolve()
  await stopped
  expect(done).toEqual(["outer", "inner", "stopped"])
})

test("nothing begins after a stop, and its signal says why", async () => {
  const work = new BackgroundWork(() => {})
  const reason = new Error("stopped")
  await work.stop(reason)
  let isRun = false
  await work.run(async () => {
    isRun = true
  })
  expect(isRun).toBe(false)
  expect(work.signal.reason).toBe(reason)
})

test("what fails is heard of, and fails nobody who waits", async () => {
  const heard: unknown[] = []
  const work = new BackgroundWork((error) => heard.push(error))
  const fault = new Error("failed")
  await work.run(() => Promise.reject(fault))
  await work.settled()
  expect(heard).toEqual([fault])
})
