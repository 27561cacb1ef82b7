/**
 * What can go wrong at the OCI front door.
 * @module
 */
import { CodedError } from "../core/errors.ts"

/** Codes of the registry; `oci-error.ts` maps each to a status and an OCI code. */
export type RegistryErrorCode =
  /** The path or `?ns=` names no repository by the OCI grammar. */
  | "NAME_INVALID"
  /** No such repository, neither here nor in the fleet. */
  | "NAME_UNKNOWN"
  /** No such manifest or tag under that name, or one that nobody can deliver. */
  | "MANIFEST_UNKNOWN"
  /** A manifest that is malformed, or whose media type differs from the one it was sent as. */
  | "MANIFEST_INVALID"
  /** A manifest over 4 MiB. */
  | "MANIFEST_TOO_LARGE"
  /** A pushed manifest names a blob that was not pushed under that name. */
  | "MANIFEST_BLOB_UNKNOWN"
  /** No such blob under that name. */
  | "BLOB_NOT_FOUND"
  /** No such upload session. */
  | "UPLOAD_UNKNOWN"
  /** The session is being written to by another request. */
  | "UPLOAD_BUSY"
  /** A chunk that does not begin where the last one ended. */
  | "UPLOAD_OUT_OF_ORDER"
  /** More upload sessions than are allowed at once. */
  | "UPLOADS_EXHAUSTED"
  /** A body whose length is not the one that its headers tell. */
  | "SIZE_INVALID"
  /** A push under a name where the fleet's access list does not let this node publish. */
  | "PUSH_FORBIDDEN"
  /** A write, or something that is not for everybody, without the node's token; in a fleet only. */
  | "TOKEN_REQUIRED"
  /** A push or deletion under a name that an upstream registry owns. */
  | "NAME_READ_ONLY"
  /** No such route, or a method that it does not know. */
  | "ROUTE_UNKNOWN"
  /** A query parameter or header outside its bounds. */
  | "REQUEST_INVALID"
  /** A `Host` header that is not this node's. */
  | "HOST_FOREIGN"
  /** A request that a page of another origin caused. */
  | "PAGE_FOREIGN"
  /** A write from another machine. */
  | "WRITE_REMOTE"

export class RegistryError extends CodedError<RegistryErrorCode> {}
