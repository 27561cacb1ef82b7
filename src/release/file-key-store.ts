/**
 * The file keys that a publisher keeps of its own releases, sealed to its own recipient: for files that
 * do not change, and for releases that are issued anew (protocol/key-schedule.md §5, publishing 5).
 * @module
 */
import { randomBytes } from "node:crypto"
import { encodeBase64, parseBase64 } from "../core/byte-text.ts"
import { codeOf } from "../core/errors.ts"
import { asText, encodeJson, field } from "../core/json.ts"
import { bytesField, countField, parseSection } from "../core/section.ts"
import { useSecret, writeNewSecret } from "../fleet/secret-file.ts"
import { AGE_FILE_BYTES_MAX } from "../seal/age-file.ts"
import { type AgeIdentity, identityOf, newIdentity } from "../seal/age-key.ts"
import { BAG_BYTES_MAX, type BagFile, openBag, sealBag } from "../seal/bag.ts"
import { SealError } from "../seal/errors.ts"
import { newNonce } from "../seal/payload.ts"
import { erase, fileKeyCommitment, isSame, RELEASE_KEY_BYTES } from "../seal/release-key.ts"
import { openDocument, sealDocument } from "../seal/sealed-document.ts"
import type { SealedRelease } from "../seal/sealed-release.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import type { AssetVersion } from "./asset-name.ts"
import { refusal } from "./errors.ts"
import { folderOf } from "./evidence-files.ts"

const NAME = "own.json"
const VERSION = 1
const FILE_BYTES_MAX: number = 3 * 1024 * 1024

/** The keys of one publisher. */
export class FileKeyStore {
  readonly #files: TufFiles
  readonly #identityPath: string

  /** @param options - `identityPath`: the publisher's own age identity, made when it is needed */
  constructor(deps: { readonly files: TufFiles }, options: { readonly identityPath: string }) {
    this.#files = deps.files
    this.#identityPath = options.identityPath
  }

  /** Keeps the files of a release that is about to be published. */
  async write(asset: AssetVersion, files: readonly BagFile[]): Promise<void> {
    const { recipient } = await this.#identity()
    const releaseKey = randomBytes(RELEASE_KEY_BYTES)
    try {
      const bag = sealBag(files, { releaseKey, nonce: newNonce() })
      const key = await sealDocument({ key: encodeBase64(releaseKey) }, recipient)
      const fields = { v: VERSION, key: encodeBase64(key), bag: encodeBase64(bag) }
      await this.#files.write(nameOf(asset), encodeJson(fields))
    } finally {
      erase([releaseKey])
    }
  }

  /** Forgets them, where nothing was published in the end. */
  async remove(asset: AssetVersion): Promise<void> {
    await this.#files.remove(nameOf(asset))
  }

  /**
   * Gives the files of an own release with their keys, which are the caller's to erase.
   * @returns undefined when they are not kept here, or are not those of this release
   */
  async read(
    asset: AssetVersion,
    sealed: Pick<SealedRelease, "files">,
  ): Promise<readonly BagFile[] | undefined> {
    const bytes = await this.#files.read(nameOf(asset), { bytesMax: FILE_BYTES_MAX })
    if (bytes === undefined) return undefined
    const refuse = refusal("RELEASE_STATE_INVALID")
    const section = parseSection(bytes, { bytesMax: FILE_BYTES_MAX, refuse })
    countField(section, "v", { min: VERSION, max: VERSION })
    const key = bytesField(section, "key", { max: AGE_FILE_BYTES_MAX })
    const bag = bytesField(section, "bag", { max: BAG_BYTES_MAX })
    return await this.#open(key, bag, sealed)
  }

  async #open(
    key: Uint8Array,
    bag: Uint8Array,
    { files }: Pick<SealedRelease, "files">,
  ): Promise<readonly BagFile[] | undefined> {
    const { secret } = await this.#identity()
    const notOpened = (cause: unknown) =>
      new SealError("AGE_FILE_NOT_OPENED", "the own file keys do not open", { cause })
    let releaseKey: Uint8Array | undefined
    try {
      const document = await openDocument(key, secret, notOpened)
      releaseKey = document && parseBase64(asText(field(document, "key")) ?? "")
      if (releaseKey?.length !== RELEASE_KEY_BYTES) return undefined
      const opened = openBag(bag, { releaseKey, files })
      if (opened.every((file, index) => isCommitted(file, files[index]!.commitment))) return opened
      erase(opened.map((file) => file.key))
      return undefined
    } catch (error) {
      // Of another identity, or of another release: then files get fresh keys.
      if (["AGE_FILE_NOT_OPENED", "BAG_INVALID"].includes(codeOf(error) ?? "")) return undefined
      throw error
    } finally {
      if (releaseKey !== undefined) erase([releaseKey])
    }
  }

  async #identity(): Promise<AgeIdentity> {
    const path = this.#identityPath
    const kept = await useSecret(path, (bytes) => identityOf(Buffer.from(bytes).toString("utf8")))
    if (kept !== undefined) return kept
    const fresh = await newIdentity()
    if (await writeNewSecret(path, Buffer.from(fresh.secret))) return fresh
    return await this.#identity()
  }
}

function nameOf(asset: AssetVersion): string {
  return `${folderOf(asset)}/${NAME}`
}

function isCommitted(file: BagFile, commitment: Uint8Array): boolean {
  return isSame(fileKeyCommitment(file.key, file), commitment)
}
