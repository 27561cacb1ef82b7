/**
 * What the desk is about to publish, written before the first file of it: whatever cuts the
 * publishing off, doing it again completes it (protocol/tuf-profile.md §5, publishing 5).
 * @module
 */
import type { NamedBytes } from "../trust/tuf/publication.ts"
import { encodeFleetFiles, FLEET_FILES_BYTES_MAX, parseFleetFiles } from "./fleet-files.ts"
import type { FleetHome } from "./fleet-home.ts"
import { readHomeFile, removeHomeFile, writeHomeFile } from "./home-file.ts"

const FILE = "publication.json"

/** At most one publication. */
export class DeskJournal {
  readonly #path: string

  constructor(home: Pick<FleetHome, "pathOf">) {
    this.#path = home.pathOf(FILE)
  }

  /** @throws FleetError `FLEET_FILES_INVALID`, `FLEET_HOME_INVALID` when it is broken */
  async read(): Promise<readonly NamedBytes[] | undefined> {
    const bytes = await readHomeFile(this.#path, FLEET_FILES_BYTES_MAX)
    return bytes === undefined ? undefined : parseFleetFiles(bytes)
  }

  async write(files: readonly NamedBytes[]): Promise<void> {
    await writeHomeFile(this.#path, encodeFleetFiles(files))
  }

  async remove(): Promise<void> {
    await removeHomeFile(this.#path)
  }
}
