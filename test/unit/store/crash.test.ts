/** A store that is killed at random moments loses nothing that it reported; see test/slow too. */
import { test } from "vitest"
import { killOnce } from "../../support/kill-store.ts"
import { temporaryDirectory } from "./disk-fixture.ts"

const KILLS = 2
/** Four starts of a process, perhaps on a machine with much else to do. */
const TIMEOUT_MS = 60_000

test(
  "keeps every reported piece and blob over kill -9",
  async () => {
    const directory = temporaryDirectory()
    let firstSeed = 1
    for (let kill = 0; kill < KILLS; kill++) {
      const { lastSeed } = await killOnce(directory, { firstSeed, random: Math.random })
      // The blob that was growing goes on.
      firstSeed = lastSeed
    }
  },
  TIMEOUT_MS,
)
