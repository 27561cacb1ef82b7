/** Who has a place among sockets that have proved nothing yet. */
import { expect, test } from "vitest"
import { WaitingRoom } from "../../../src/net/waiting-room.ts"

/** A room, and who was ended. */
function room(guestsMax: number) {
  const waiting = new WaitingRoom(guestsMax)
  const ended: string[] = []
  const enter = (host: string, name = host) => waiting.enter(host, () => ended.push(name))
  return { waiting, ended, enter }
}

test("has so many guests and no more, all of one host", () => {
  const { waiting, ended, enter } = room(3)
  for (let count = 0; count < 3; count++) expect(enter("10.0.0.1")).toBeDefined()
  expect(enter("10.0.0.1")).toBeUndefined()
  expect([waiting.size, ended]).toEqual([3, []])
})

test("gives the place of the oldest of the host that has most to who has fewer", () => {
  const { waiting, ended, enter } = room(4)
  for (const name of ["first", "second", "third"]) enter("10.0.0.1", name)
  enter("10.0.0.2")
  enter("10.0.0.3")
  expect(ended).toEqual(["first"])
  enter("10.0.0.2")
  expect([waiting.size, ended]).toEqual([4, ["first"]])
})

test("has room again when somebody leaves, once", () => {
  const { waiting, enter } = room(2)
  const leave = enter("10.0.0.1")!
  enter("10.0.0.1")
  leave()
  leave()
  expect(waiting.size).toBe(1)
  expect(enter("10.0.0.1")).toBeDefined()
})

test("takes the addresses of one IPv6 network for one host", () => {
  const { ended, enter } = room(2)
  enter("2001:db8:1:2:3::1", "one")
  enter("2001:db8:1:2:4::1", "two")
  expect(enter("2001:db8:1:2:5::1")).toBeUndefined()
  expect(enter("2001:db8:9:9::1")).toBeDefined()
  expect(ended).toEqual(["one"])
})

test("knows one network in whichever way its address is written", () => {
  const { ended, enter } = room(2)
  enter("2001:db8::1", "one")
  enter("2001:0db8:0:0:5::1", "two")
  expect(enter("2001:db8:0:0:ffff:1:2:3")).toBeUndefined()
  expect(enter("2001:db8:0:1::3")).toBeDefined()
  expect(ended).toEqual(["one"])
})
