/**
 * What a node keeps of grants that were made to it, beside what it keeps of the release: the gate's
 * envelopes, and shares that it sealed anew to its next key (protocol/release.md §5, the gate's
 * exchange; protocol/fleet.md §5, rotating a node key).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import { encodeJson } from "../core/json.ts"
import { bytesField, countField, parseSection, type Section, textField } from "../core/section.ts"
import { AGE_FILE_BYTES_MAX } from "../seal/age-file.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import type { AssetVersion } from "./asset-name.ts"
import { refusal } from "./errors.ts"
import { folderOf } from "./evidence-files.ts"
import { GATE_ANSWER_BYTES_MAX } from "./gate-exchange.ts"

const VERSION = 1
const TAKEN_BYTES_MAX: number = 2 * AGE_FILE_BYTES_MAX
const OPENED_BYTES_MAX: number = 16 * 1024

/** The files of one node's grants. Their names end in `.json`: no part of an asset's name does. */
export class GateGrantFiles {
  readonly #files: TufFiles

  /** @param files - of the data directory; they lie below `releases` */
  constructor(files: TufFiles) {
    this.#files = files
  }

  /** Gives the gate's grant that a device of the gate has signed; nothing in it was checked. */
  async gateGrant(asset: AssetVersion, device: PublicKey): Promise<Uint8Array | undefined> {
    return await this.#files.read(nameOf(asset, `gate-${device}`), {
      bytesMax: GATE_ANSWER_BYTES_MAX,
    })
  }

  async writeGateGrant(
    asset: AssetVersion,
    device: PublicKey,
    envelope: Uint8Array,
  ): Promise<void> {
    await this.#files.write(nameOf(asset, `gate-${device}`), envelope)
  }

  /**
   * Gives the age file of a share that this node took from a device and sealed anew.
   * @throws {@link ReleaseError} `RELEASE_STATE_INVALID`
   */
  async taken(asset: AssetVersion, device: PublicKey): Promise<Uint8Array | undefined> {
    const section = await this.#read(nameOf(asset, `taken-${device}`), TAKEN_BYTES_MAX)
    return section && bytesField(section, "file", { max: AGE_FILE_BYTES_MAX })
  }

  async writeTaken(asset: AssetVersion, device: PublicKey, file: Uint8Array): Promise<void> {
    const bytes = encodeJson({ v: VERSION, file: encodeBase64(file) })
    await this.#files.write(nameOf(asset, `taken-${device}`), bytes)
  }

  /**
   * Gives the folder to which a release was opened last.
   * @throws {@link ReleaseError} `RELEASE_STATE_INVALID`
   */
  async openedAt(asset: AssetVersion): Promise<string | undefined> {
    const section = await this.#read(nameOf(asset, "opened"), OPENED_BYTES_MAX)
    return section && textField(section, "path")
  }

  async writeOpenedAt(asset: AssetVersion, path: string): Promise<void> {
    await this.#files.write(nameOf(asset, "opened"), encodeJson({ v: VERSION, path }))
  }

  async #read(name: string, bytesMax: number): Promise<Section | undefined> {
    const bytes = await this.#files.read(name, { bytesMax })
    if (bytes === undefined) return undefined
    const section = parseSection(bytes, { bytesMax, refuse: refusal("RELEASE_STATE_INVALID") })
    countField(section, "v", { min: VERSION, max: VERSION })
    return section
  }
}

function nameOf(asset: AssetVersion, name: string): string {
  return `${folderOf(asset)}/${name}.json`
}
