/** What a fetcher keeps of what a seed suggests. */
import { expect, test } from "vitest"
import { Suggestions } from "../../../src/swarm/suggestions.ts"

test("are followed in order, and make their source a guide", () => {
  const suggestions = new Suggestions()
  expect(suggestions.isActive).toBe(false)
  suggestions.add(7, 0)
  suggestions.add(3, 0)
  expect(suggestions.isActive).toBe(true)
  expect([suggestions.next(), suggestions.next(), suggestions.next()]).toEqual([7, 3, undefined])
})

test("are over when a source has been silent for a while and all were followed", () => {
  const suggestions = new Suggestions()
  suggestions.add(7, 1_000)
  suggestions.tick(2_000)
  expect(suggestions.isActive).toBe(true)
  suggestions.next()
  suggestions.add(8, 2_000)
  suggestions.next()
  suggestions.tick(2_300)
  expect(suggestions.isActive).toBe(true)
  suggestions.tick(2_301)
  expect(suggestions.isActive).toBe(false)
})

test("are taken back by a choke", () => {
  const suggestions = new Suggestions()
  suggestions.add(7, 0)
  suggestions.end()
  expect([suggestions.isActive, suggestions.next()]).toEqual([false, undefined])
})

test("are bounded: the oldest make room", () => {
  const suggestions = new Suggestions()
  for (let index = 0; index < 20; index++) suggestions.add(index, 0)
  const kept: number[] = []
  while (!suggestions.isEmpty) kept.push(suggestions.next()!)
  expect(kept).toEqual(Array.from({ length: 16 }, (_, place) => place + 4))
})
