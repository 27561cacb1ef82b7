/**
 * What clients push and delete: manifests, blobs, mounts, under pushed names only
 * (protocol/registry-profile.md §4).
 * @module
 */
import { type Digest, digestOf, isDigest } from "../core/digest.ts"
import { codeOf, InputError } from "../core/errors.ts"
import type { Delivery } from "../delivery/delivery.ts"
import type { BlobStore } from "../store/store.ts"
import { RegistryError } from "./errors.ts"
import { parseManifest } from "./manifest.ts"
import type { ManifestShelf } from "./manifest-shelf.ts"
import type { NameIndex } from "./name-index.ts"
import { type Place, placeKey, pushedPlace } from "./place.ts"
import type { Referrers } from "./referrers.ts"
import type { RegistryRights } from "./rights.ts"
import type { TagBeliefs } from "./tag-beliefs.ts"

/** What became of a pushed manifest. */
export interface PushedManifest {
  readonly digest: Digest
  readonly subject: Digest | undefined
}

/** A manifest as a client sends it. */
export interface ManifestPush {
  readonly bytes: Uint8Array
  readonly mediaType: string | undefined
  readonly signal: AbortSignal
}

export interface PushDeskDeps {
  readonly store: BlobStore
  readonly delivery: Delivery
  readonly names: NameIndex
  readonly beliefs: TagBeliefs
  readonly shelf: ManifestShelf
  readonly referrers: Referrers
  readonly rights: RegistryRights
}

/**
 * Takes pushes. Every method throws RegistryError `NAME_READ_ONLY` for names that an upstream owns; what
 * the fleet would not believe of this node is refused with `PUSH_FORBIDDEN`.
 */
export class PushDesk {
  readonly #deps: PushDeskDeps

  constructor(deps: PushDeskDeps) {
    this.#deps = deps
  }

  /** Keeps a manifest under a tag or its digest (end-7). */
  async putManifest(place: Place, reference: string, push: ManifestPush): Promise<PushedManifest> {
    this.assertMayPush(place)
    const { store, names, shelf, referrers, beliefs, rights } = this.#deps
    const { bytes, mediaType, signal } = push
    const manifest = parseManifest(bytes, mediaType)
    const digest = digestOf(bytes)
    if (isDigest(reference) && reference !== digest) {
      const message = `the manifest is ${digest}, not ${reference}`
      throw new InputError("DIGEST_INVALID", message)
    }
    for (const blob of manifest.blobs) this.#checkPushed(place, blob)
    const loaded = { digest, bytes, manifest }
    await shelf.keep(loaded, { isShared: true })
    await store.share(digest, true)
    const own = { digest, sizeBytes: bytes.length, mediaType: manifest.mediaType }
    await names.admit(place, [{ ...own, kind: "manifest", isProved: true }])
    await rights.prove(place, digest)
    // What was pushed may be nowhere else: it stays until it is deleted.
    const digests = new Set([digest, ...manifest.blobs.map((blob) => blob.digest)])
    await store.pin({ name: pinName(place, digest), digests: [...digests] })
    await referrers.note(place, loaded)
    if (!isDigest(reference)) {
      await beliefs.push(place, reference, { ...own, isShared: true }, signal)
    }
    return { digest, subject: manifest.subject }
  }

  /** @throws RegistryError `NAME_READ_ONLY`, `PUSH_FORBIDDEN` */
  assertMayPush(place: Place): void {
    assertPushable(place)
    if (this.#deps.rights.mayPush(place)) return
    const message = `this node may not publish ${place.repository} in its fleet; ask the operator for a rule`
    throw new RegistryError("PUSH_FORBIDDEN", message)
  }

  /** A manifest may name only what was pushed under its own name: else it would be a way to get it. */
  #checkPushed(place: Place, blob: { digest: Digest; sizeBytes: number }): void {
    const { names, store, delivery } = this.#deps
    const record = names.find(place, blob.digest)
    const hasName = record !== undefined && record.kind !== "deleted"
    const sizeBytes = store.stat(blob.digest)?.layout.sizeBytes ?? record?.sizeBytes
    const isThere = hasName && delivery.isAtHand(blob.digest)
    if (isThere && sizeBytes === blob.sizeBytes) return
    const details = { digest: blob.digest, sizeBytes: blob.sizeBytes }
    const message = isThere
      ? `blob ${blob.digest} has ${sizeBytes} bytes, not ${blob.sizeBytes}`
      : `blob ${blob.digest} was not pushed under this name`
    throw new RegistryError("MANIFEST_BLOB_UNKNOWN", message, { details })
  }

  /** Deletes one tag, or a manifest with all tags that mean it (end-9). */
  async deleteManifest(place: Place, reference: string, signal: AbortSignal): Promise<void> {
    assertPushable(place)
    const { names, beliefs, shelf, referrers, store, rights } = this.#deps
    if (!isDigest(reference)) {
      if (await beliefs.remove(place, reference, signal)) return
      throw new RegistryError("MANIFEST_UNKNOWN", `no tag ${reference} under this name`)
    }
    if (names.find(place, reference)?.kind !== "manifest") {
      throw new RegistryError("MANIFEST_UNKNOWN", `no manifest ${reference} under this name`)
    }
    for (const claim of await beliefs.claims(place, signal)) {
      if (claim.digest === reference) await beliefs.remove(place, claim.tag, signal)
    }
    const loaded = await shelf.read(reference)
    if (loaded !== undefined) await referrers.forget(place, loaded)
    await store.unpin(pinName(place, reference))
    await names.remove(place, reference)
    await rights.withdraw(place, reference)
    await this.#dropNameless(reference)
  }

  /** Deletes a blob under one name (end-10). */
  async deleteBlob(place: Place, digest: Digest): Promise<void> {
    assertPushable(place)
    const record = this.#deps.names.find(place, digest)
    if (record === undefined || record.kind === "deleted") {
      throw new RegistryError("BLOB_NOT_FOUND", `no blob ${digest} under this name`)
    }
    await this.#deps.names.remove(place, digest)
    await this.#deps.rights.withdraw(place, digest)
    await this.#dropNameless(digest)
  }

  /** Gives a repository a blob of another one (end-11). @returns false: it must be uploaded */
  async mount(place: Place, digest: Digest, from: Place | undefined): Promise<boolean> {
    this.assertMayPush(place)
    const stat = this.#deps.store.stat(digest)
    // Content that may go to no other node must not become the fleet's by a push.
    if (stat?.isComplete !== true || !stat.isShared) return false
    if (!(await this.#mayMount(digest, from))) return false
    await this.nameBlob(place, digest, stat.layout.sizeBytes)
    return true
  }

  async #mayMount(digest: Digest, from: Place | undefined): Promise<boolean> {
    const { names, rights } = this.#deps
    if (from !== undefined) {
      const kind = names.find(from, digest)?.kind
      return kind !== undefined && kind !== "deleted" && rights.mayRead(from)
    }
    // end-11: `from` may be left out. Then only pushed names, which have no registry, are looked at.
    for await (const [key] of names.names(digest)) {
      if (key.startsWith("/") && rights.mayRead(pushedPlace(key.slice(1)))) return true
    }
    return false
  }

  /** Notes that a client brought a blob under a name: whoever has the bytes may share them. */
  async nameBlob(place: Place, digest: Digest, sizeBytes: number): Promise<void> {
    await this.#deps.store.share(digest, true)
    const record = { kind: "blob", sizeBytes, mediaType: undefined, isProved: true } as const
    await this.#deps.names.admit(place, [{ ...record, digest }])
    await this.#deps.rights.prove(place, digest)
  }

  /** Tells whether anything is pinned under a name. */
  hasPushes(place: Place): boolean {
    const prefix = pinPrefix(place)
    for (const { name } of this.#deps.store.pins()) if (name.startsWith(prefix)) return true
    return false
  }

  /** Frees the disk if no other name has the blob and nobody holds it. */
  async #dropNameless(digest: Digest): Promise<void> {
    for await (const _ of this.#deps.names.names(digest)) return
    try {
      await this.#deps.store.remove(digest)
    } catch (error) {
      // Pinned or being read: the sweep takes it when it is free.
      if (codeOf(error) !== "BLOB_IN_USE") throw error
    }
  }
}

/** @throws RegistryError `NAME_READ_ONLY` */
export function assertPushable({ registry, origin }: Place): void {
  if (origin === undefined) return
  const message = `names of ${registry} are only mirrored here; push under a name without a registry`
  throw new RegistryError("NAME_READ_ONLY", message)
}

const pinPrefix = (place: Place): string => `push ${placeKey(place)}@`
const pinName = (place: Place, digest: Digest): string => `${pinPrefix(place)}${digest}`
