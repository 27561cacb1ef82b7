/** What a seed suggests to whom. */
import { expect, test } from "vitest"
import { SuperSeeding } from "../../../src/swarm/super-seeding.ts"
import type { Upload } from "../../../src/swarm/upload.ts"

/** A peer that notes what it is told. */
function createPeer() {
  const told: number[] = []
  const upload: Pick<Upload, "suggest"> = { suggest: (index) => told.push(index) }
  return { upload: upload as Upload, told }
}

function createPeers(count: number, seeding: SuperSeeding) {
  const peers = Array.from({ length: count }, createPeer)
  for (const { upload } of peers) seeding.add(upload)
  return peers
}

test("says nothing to a peer that fetches alone", () => {
  const seeding = new SuperSeeding(10, 0)
  const [peer] = createPeers(1, seeding)
  seeding.suggest(peer!.upload)
  seeding.onAsked(peer!.upload, 3)
  expect(peer!.told).toEqual([])
})

test("gives each piece to one peer only, and one more for each that is asked for", () => {
  const seeding = new SuperSeeding(10, 0)
  const [left, right] = createPeers(2, seeding)
  seeding.suggest(left!.upload)
  seeding.suggest(right!.upload)
  expect([left!.told, right!.told]).toEqual([
    [0, 1, 2, 3],
    [4, 5, 6, 7],
  ])
  seeding.onAsked(right!.upload, 4)
  seeding.onAsked(left!.upload, 0)
  seeding.onAsked(left!.upload, 1)
  expect([left!.told.slice(4), right!.told.slice(4)]).toEqual([[9], [8]])
})

test("does not suggest what a peer asked for of its own accord", () => {
  const seeding = new SuperSeeding(6, 0)
  const [left, right] = createPeers(2, seeding)
  seeding.onAsked(left!.upload, 1)
  expect(left!.told).toEqual([0, 2, 3, 4])
  seeding.suggest(right!.upload)
  expect(right!.told).toEqual([5])
})

test("gives to others what a peer was told and did not ask for, once its turn is over", () => {
  const seeding = new SuperSeeding(4, 0)
  const [left, right] = createPeers(2, seeding)
  seeding.suggest(left!.upload)
  seeding.onAsked(left!.upload, 2)
  seeding.withdraw(left!.upload)
  seeding.suggest(right!.upload)
  expect(right!.told.sort()).toEqual([0, 1, 3])
})

test("gives to others what a peer asked for and was refused", () => {
  const seeding = new SuperSeeding(2, 0)
  const [left, right] = createPeers(2, seeding)
  seeding.suggest(left!.upload)
  for (const index of left!.told) seeding.onAsked(left!.upload, index)
  seeding.onUnserved(1)
  seeding.onUnserved(1)
  seeding.suggest(right!.upload)
  expect(right!.told).toEqual([1])
})

test("gives nothing again that somebody has said to have", () => {
  const seeding = new SuperSeeding(2, 0)
  const [left, right] = createPeers(2, seeding)
  seeding.suggest(left!.upload)
  for (const index of left!.told) seeding.onAsked(left!.upload, index)
  seeding.onArrived(1)
  seeding.onUnserved(1)
  seeding.suggest(right!.upload)
  expect(right!.told).toEqual([])
})

test("takes back what was told to a peer that leaves", () => {
  const seeding = new SuperSeeding(3, 0)
  const [left, right, third] = createPeers(3, seeding)
  seeding.suggest(left!.upload)
  seeding.remove(left!.upload)
  seeding.suggest(right!.upload)
  expect(right!.told.sort()).toEqual([0, 1, 2])
  seeding.suggest(third!.upload)
  expect(third!.told).toEqual([])
})

test("begins where it is told to, and goes round", () => {
  const seeding = new SuperSeeding(5, 3)
  const [left] = createPeers(2, seeding)
  seeding.suggest(left!.upload)
  expect(left!.told).toEqual([3, 4, 0, 1])
})

test("does not suggest what others have already", () => {
  const seeding = new SuperSeeding(6, 0)
  for (const index of [0, 1, 4]) seeding.onGiven(index)
  const [left, right] = createPeers(2, seeding)
  seeding.suggest(left!.upload)
  seeding.suggest(right!.upload)
  expect([left!.told, right!.told]).toEqual([[2, 3, 5], []])
})
