/** Cases of windows on the days on which clocks are set, for ../rollout-vectors.ts. */
import { type Case, type Fields, good } from "../release-vectors/scene.ts"

const EVERY_DAY = [1, 2, 3, 4, 5, 6, 7]

/** When it opens next from a moment on, and when it closes then; texts of UTC, written by hand. */
type Turn = readonly [zone: string, at: string, opens: string, closes: string]

function minuteOf(text: string): number {
  return Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
}

function window(name: string, comment: string, span: string, turn: Turn, days = EVERY_DAY): Case {
  const [from, to] = span.split("-").map(minuteOf)
  const [zone, at, opens, closes] = turn
  const input: Fields = { window: { from, to, days }, zone, at: Date.parse(at) }
  const output = { opens: Date.parse(opens), closes: Date.parse(closes) }
  return good(`window-${name}`, comment, input, output)
}

const BERLIN = "Europe/Berlin"
const NEW_YORK = "America/New_York"
const LORD_HOWE = "Australia/Lord_Howe"
const APIA = "Pacific/Apia"

export function windowCases(): readonly Case[] {
  return [
    window("winter", "By the clock of the zone.", "01:00-05:00", [
      ...([BERLIN, "2026-01-14T12:00Z", "2026-01-15T00:00Z", "2026-01-15T04:00Z"] as const),
    ]),
    window("open", "It is open already.", "01:00-05:00", [
      ...([BERLIN, "2026-01-15T01:30Z", "2026-01-15T01:30Z", "2026-01-15T04:00Z"] as const),
    ]),
    window("quarter", "A zone 5:45 ahead.", "01:00-05:00", [
      ...([
        "Asia/Kathmandu",
        "2026-01-14T12:00Z",
        "2026-01-14T19:15Z",
        "2026-01-14T23:15Z",
      ] as const),
    ]),
    window(
      "over-midnight",
      "It belongs to Friday, when it begins.",
      "22:00-06:00",
      ["UTC", "2026-01-12T00:00Z", "2026-01-16T22:00Z", "2026-01-17T06:00Z"],
      [5],
    ),
    window(
      "whole-day",
      "It ends when it begins.",
      "09:00-09:00",
      ["UTC", "2026-01-12T00:00Z", "2026-01-13T09:00Z", "2026-01-14T09:00Z"],
      [2],
    ),
    window("skipped-begin", "Its begin is skipped: the first minute after.", "02:30-03:30", [
      ...([BERLIN, "2026-03-29T00:00Z", "2026-03-29T01:00Z", "2026-03-29T01:30Z"] as const),
    ]),
    window("skipped-end", "Its end is skipped: the first minute after.", "01:30-02:30", [
      ...([BERLIN, "2026-03-29T00:00Z", "2026-03-29T00:30Z", "2026-03-29T01:00Z"] as const),
    ]),
    window("skipped", "It is skipped whole: the next day.", "02:10-02:50", [
      ...([BERLIN, "2026-03-28T12:00Z", "2026-03-30T00:10Z", "2026-03-30T00:50Z"] as const),
    ]),
    window("skipped-new-york", "Its begin is skipped.", "02:30-03:30", [
      ...([NEW_YORK, "2026-03-08T00:00Z", "2026-03-08T07:00Z", "2026-03-08T07:30Z"] as const),
    ]),
    window("skipped-half", "Half an hour is skipped.", "02:10-03:00", [
      ...([LORD_HOWE, "2026-10-03T12:00Z", "2026-10-03T15:30Z", "2026-10-03T16:00Z"] as const),
    ]),
    window("twice-first", "An hour is shown twice: the first time.", "02:00-02:30", [
      ...([BERLIN, "2026-10-24T12:00Z", "2026-10-25T00:00Z", "2026-10-25T00:30Z"] as const),
    ]),
    window("twice-second", "An hour is shown twice: the second time.", "02:00-02:30", [
      ...([BERLIN, "2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z"] as const),
    ]),
    window("twice-around", "It is an hour longer.", "01:00-04:00", [
      ...([BERLIN, "2026-10-24T12:00Z", "2026-10-24T23:00Z", "2026-10-25T03:00Z"] as const),
    ]),
    window("twice-new-york", "The second time.", "01:15-01:45", [
      ...([NEW_YORK, "2026-11-01T05:45Z", "2026-11-01T06:15Z", "2026-11-01T06:45Z"] as const),
    ]),
    window("twice-half", "Half an hour is shown twice: the second time.", "01:30-01:45", [
      ...([LORD_HOWE, "2026-04-04T14:45Z", "2026-04-04T15:00Z", "2026-04-04T15:15Z"] as const),
    ]),
    window(
      "no-day",
      "There was no such Friday: a week later.",
      "10:00-12:00",
      [APIA, "2011-12-29T12:00Z", "2012-01-05T20:00Z", "2012-01-05T22:00Z"],
      [5],
    ),
  ]
}
